"""The API as one object, mounted at `/api/v1/`."""

from django.http import HttpRequest, JsonResponse

from stemma_portal.api import (
    bank,
    billing,
    cases,
    catalog,
    certificates,
    consents,
    covenants,
    custody,
    duplicates,
    imports,
    indemnity,
    licenses,
    log,
    money,
    notices,
    operations,
    organisations,
    people,
    reservations,
    shares,
    uploads,
    webhooks,
)
from stemma_portal.api.auth import Caller
from stemma_portal.api.description import DescribedAPI
from stemma_portal.api.parser import StrictParser
from stemma_portal.api.problems import install
from stemma_portal.api.wellknown import healthz

api = DescribedAPI(
    title="Stemma portal",
    version="1",
    description="Rights, releases, licenses and royalties. Refusals are problem bodies (RFC 9457).",
    urls_namespace="api",
    auth=Caller(),
    parser=StrictParser(),
    docs_url=None,  # its page would need scripts of others; the schema is at openapi.json
)
install(api)
ROUTERS = (
    *(catalog.router, imports.router, shares.router, duplicates.router, consents.router, cases.router),
    *(custody.router, reservations.router, bank.router),
    *(
        operations.router,
        licenses.router,
        covenants.router,
        certificates.router,
        money.router,
        billing.router,
        people.router,
        organisations.router,
        notices.router,
        webhooks.router,
        uploads.router,
        indemnity.router,
        log.router,
    ),
)
for router in ROUTERS:
    api.add_router("", router)


@api.get("health", auth=None, tags=["health"])
def health(request: HttpRequest) -> JsonResponse:
    """Whether the portal and what it stands on answer."""
    return healthz(request)
