"""Every page, asked by everybody: generated from the addresses themselves.

A new address fails here until it is classified: put it into `CLASSIFIED`, with who may have it.
(ASVS 8.2.2, 8.4.1.)
"""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.urls import URLPattern, get_resolver, resolve

from portal.billing.shop import dollars, pdf, shop_open
from portal.certificates.made import certified
from portal.indemnity.desk import claimed
from portal.making import ident
from stemma_portal.accounts.invitations import invite, link_of
from stemma_portal.accounts.models import Domain
from stemma_portal.accounts.services import token_create
from stemma_portal.audio.services import upload_begin
from stemma_portal.billing.banking import payments_queued
from stemma_portal.billing.deadlines import breach_state
from stemma_portal.billing.invoicing import credit_note_issue, order_place, quote_make
from stemma_portal.catalog.custody import custody_set
from stemma_portal.catalog.models import Likeness, Recording, Release
from stemma_portal.consent.reservations import reservation_state
from stemma_portal.consent.services import claim_open, consent_withdraw
from stemma_portal.core.models import AuditEvent
from stemma_portal.intake.models import Import
from stemma_portal.licensing.offline import license_file_issue
from stemma_portal.licensing.services import api_key_create, license_grant
from stemma_portal.licensing.tasks import entitlement_publish
from stemma_portal.notices.models import Notice, Topic
from stemma_portal.notices.unsubscribing import sign
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.services import snapshot_create
from stemma_portal.webhooks.services import endpoint_create, ping
from support.pages import LINKS, PAGES, fits

pytestmark = [pytest.mark.services, pytest.mark.django_db]

OPEN, MEMBER, OWNER, OWN, PERSON, ACT, STAFF, OPERATOR = (
    *("open", "member", "owner", "own"),
    *("person", "act", "staff", "operator"),
)
CLASSIFIED = {
    "": OPEN,
    ".well-known/jwks.json": OPEN,
    "audio/": MEMBER,
    "audio/<id:upload_id>/": OWN,
    "audio/<id:upload_id>/action/": ACT,
    "audio/tags/": MEMBER,
    "billing/": MEMBER,
    "billing/address/": OWNER,
    "billing/credit/": MEMBER,
    "billing/credit/new/": OWNER,
    "billing/declarations/": STAFF,
    "billing/declarations/<id:declaration_id>/": STAFF,
    "billing/declarations/<id:declaration_id>/evidence/": STAFF,
    "billing/deadlines/": STAFF,
    "billing/deadlines/<id:deadline_id>/": OWN,
    "billing/deadlines/<id:deadline_id>/answer/": ACT,
    "billing/deadlines/<id:deadline_id>/decision/": ACT,
    "billing/invoices/": MEMBER,
    "billing/invoices/<id:invoice_id>.pdf": OWN,
    "billing/invoices/<id:invoice_id>.xml": OWN,
    "billing/invoices/<id:invoice_id>/": OWN,
    "billing/invoices/<id:invoice_id>/credit/": STAFF,
    "billing/invoices/<id:invoice_id>/credit/<id:note_id>.pdf": OWN,
    "billing/invoices/<id:invoice_id>/credit/<id:note_id>.xml": OWN,
    "billing/invoices/<id:invoice_id>/facts.csv": OWN,
    "billing/invoices/<id:invoice_id>/refund/": STAFF,
    "billing/licenses/<id:license_id>/breach/": STAFF,
    "billing/orders/<id:order_id>/": OWN,
    "billing/orders/<id:order_id>/cancellation/": ACT,
    "billing/payments/": STAFF,
    "billing/payments/<id:payment_id>/": STAFF,
    "billing/quotes/<id:quote_id>.pdf": OWN,
    "billing/quotes/<id:quote_id>/": OWN,
    "billing/quotes/<id:quote_id>/order/": ACT,
    "billing/quotes/new/": OWNER,
    "billing/refunds/": STAFF,
    "billing/refunds/<id:refund_id>/": STAFF,
    "billing/revenue/": MEMBER,
    "billing/revenue/<id:declaration_id>/evidence/": OWNER,
    "billing/revenue/new/": OWNER,
    "billing/settings/": OPERATOR,
    "billing/usage/": MEMBER,
    "billing/usage/<id:license_id>/": OWN,
    "billing/usage/<id:license_id>/limit/": ACT,
    "catalog/": MEMBER,
    "catalog/<id:recording_id>/": OWN,
    "catalog/<id:recording_id>/absence/<id:snapshot_id>.json": OWN,
    "catalog/<id:recording_id>/carried/": OWN,
    "catalog/<id:recording_id>/earned/": OWN,
    "catalog/<id:recording_id>/marked/": OWNER,
    "catalog/<id:recording_id>/reservation/": ACT,
    "catalog/<id:recording_id>/shares/": ACT,
    "catalog/<id:recording_id>/shares/history/": OWN,
    "catalog/works/<id:work_id>/": OWN,
    "certificate/<id:generation_id>.json": OPEN,
    "certificate/<id:generation_id>/": OPEN,
    "certificates/": MEMBER,
    "certificates/<id:generation_id>.json": OWN,
    "certificates/<id:generation_id>.pdf": OWN,
    "certificates/<id:generation_id>/": OWN,
    "certificates/<id:generation_id>/statement/": ACT,
    "claims/": MEMBER,
    "claims/<id:claim_id>/": OWN,
    "claims/<id:claim_id>/deadline/": ACT,
    "claims/<id:claim_id>/evidence/": ACT,
    "claims/<id:claim_id>/evidence/<id:evidence_id>/": OWN,
    "claims/<id:claim_id>/message/": ACT,
    "claims/<id:claim_id>/resolution/": ACT,
    "claims/<id:claim_id>/review/": ACT,
    "claims/<id:claim_id>/withdrawal/": ACT,
    "claims/new/": MEMBER,
    "consent/": MEMBER,
    "consent/<id:consent_id>/": OWN,
    "consent/<id:consent_id>/receipt.json": OWN,
    "consent/<id:consent_id>/receipt.pdf": OWN,
    "consent/<id:consent_id>/withdraw/": ACT,
    "consent/<id:consent_id>/withdrawal/<id:withdrawal_id>.json": OWN,
    "consent/<id:consent_id>/withdrawal/<id:withdrawal_id>.pdf": OWN,
    "consent/missing/": MEMBER,
    "consent/new/": MEMBER,
    "covenants/": OPEN,
    "covenants/<str:digest>.json": OPEN,
    "covenants/<str:digest>.pdf": OPEN,
    "covenants/<str:digest>/": OPEN,
    "covenants/compare/": OPEN,
    "custody/": MEMBER,
    "custody/<id:custody_id>/": OWN,
    "custody/<id:custody_id>/answer/": ACT,
    "custody/<id:custody_id>/end/": ACT,
    "custody/new/": MEMBER,
    "developers/": OPEN,
    "duplicates/": MEMBER,
    "duplicates/<id:likeness_id>/": OWN,
    "duplicates/<id:likeness_id>/decide/": ACT,
    "generations/": MEMBER,
    "generations/<id:generation_id>/": OWN,
    "generations/<id:generation_id>/certificate.jws": OWN,
    "healthz": OPEN,
    "livez": OPEN,
    "readyz": OPEN,
    "identities/": STAFF,
    "imports/": MEMBER,
    "imports/<id:import_id>/": OWN,
    "imports/<id:import_id>/action/": ACT,
    "imports/<id:import_id>/columns/": ACT,
    "imports/<id:import_id>/to-correct.csv": OWN,
    "imports/template.csv": MEMBER,
    "indemnity/": MEMBER,
    "indemnity/<id:case_id>/": OWN,
    "indemnity/<id:case_id>/closing/": ACT,
    "indemnity/<id:case_id>/desk/": ACT,
    "indemnity/<id:case_id>/dossier-<str:number>.<str:form>": OWN,
    "indemnity/<id:case_id>/message/": ACT,
    "indemnity/<id:case_id>/papers/<id:paper_id>/": OWN,
    "indemnity/<id:case_id>/reserve/": ACT,
    "indemnity/<id:case_id>/reserve/<id:move_id>/": ACT,
    "indemnity/new/": MEMBER,
    "invitations/<str:token>/": OPEN,
    "license/": MEMBER,
    "license/<id:license_id>/": OWN,
    "license/<id:license_id>/acceptances/<id:acceptance_id>.json": OWN,
    "license/<id:license_id>/entitlement.jws": OWN,
    "license/<id:license_id>/covenant/": ACT,
    "license/<id:license_id>/files/": ACT,
    "license/<id:license_id>/files/<id:file_id>.license": OWN,
    "license/<id:license_id>/keys/": ACT,
    "license/<id:license_id>/keys/<id:key_id>/revocation/": ACT,
    "license/<id:license_id>/keys/<id:key_id>/rotation/": ACT,
    "license/<id:license_id>/receipts/": ACT,
    "license/<id:license_id>/seats/": OWN,
    "license/<id:license_id>/seats/change/": ACT,
    "log/": OPEN,
    "models/": MEMBER,
    "models/<slug:name>/<str:version>/": MEMBER,
    "models/<slug:name>/<str:version>/SHA256SUMS": MEMBER,
    "models/<slug:name>/<str:version>/download/": ACT,
    "models/downloads/": MEMBER,
    "notices/": MEMBER,
    "notices/<id:notice_id>/": PERSON,
    "notices/off/<str:signed>/": OPEN,
    "notices/preferences/": MEMBER,
    "notices/read/": MEMBER,
    "organisation/": ACT,
    "organisation/domains/": ACT,
    "organisation/invitations/<id:invitation_id>/": ACT,
    "organisation/sign-on/": OWNER,
    "organisation/team/": MEMBER,
    "organisation/team/<id:membership_id>/": ACT,
    "organisation/trail/": OWNER,
    "playground/": MEMBER,
    "playground/key/": MEMBER,
    "releases/": MEMBER,
    "releases/<id:release_id>/": OWN,
    "reservations/": MEMBER,
    "reservations/<id:reservation_id>/settle/": ACT,
    "reservations/domains/<id:domain_id>/read/": ACT,
    "reservations/tdmrep.json": MEMBER,
    "royalties/": MEMBER,
    "royalties/parties/<id:party_id>/": OWN,
    "royalties/parties/<id:party_id>/traced.csv": OWN,
    "royalties/parties/<id:party_id>/traced/": OWN,
    "royalties/payment/": MEMBER,
    "royalties/payment/change/": MEMBER,
    "royalties/periods/<str:period_id>/": STAFF,
    "royalties/periods/<str:period_id>/closing/": STAFF,
    "royalties/statements/<id:statement_id>/": OWN,
    "royalties/statements/<id:statement_id>.csv": OWN,
    "royalties/statements/<id:statement_id>.pdf": OWN,
    "royalties/statements/<id:statement_id>/recordings/<id:recording_id>/correction/": ACT,
    "shares/": MEMBER,
    "shares/<id:question_id>/answer/": ACT,
    "sign-on/": OPEN,
    "sign-on/go/": OPEN,
    "snapshots/": MEMBER,
    "snapshots/<id:snapshot_id>/": OWN,
    "status/": OPERATOR,
    "theme/": OPEN,
    "tiers/": OPEN,
    "tokens/": MEMBER,
    "tokens/<id:token_id>/revocation/": ACT,
    "tokens/new/": MEMBER,
    "training/": OPERATOR,
    "training/<slug:job>/cancel/": ACT,
    "verify/": OPEN,
    "webhooks/": MEMBER,
    "webhooks/<id:endpoint_id>/": OWN,
    "webhooks/<id:endpoint_id>/<id:delivery_id>/again/": ACT,
    "webhooks/<id:endpoint_id>/action/": ACT,
    "webhooks/<id:endpoint_id>/keys/": ACT,
    "webhooks/new/": MEMBER,
}
ELSEWHERE = ("accounts/", "api/")
"""Sign-in is allauth's, classified below; the API is asked in tests/portal/api/test_permissions.py."""
SIGN_IN = {
    "login/": OPEN,
    "logout/": OPEN,
    "signup/": OPEN,
    "inactive/": OPEN,
    "confirm-email/": OPEN,
    "email/": MEMBER,
    "reauthenticate/": MEMBER,
    "password/change/": MEMBER,
    "password/set/": MEMBER,
    "password/reset/": OPEN,
    "password/reset/done/": OPEN,
    "password/reset/key/done/": OPEN,
    "^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": OPEN,
    "login/code/confirm/": OPEN,
    "2fa/": MEMBER,
    "2fa/authenticate/": OPEN,  # between the first step and the second
    "2fa/reauthenticate/": MEMBER,
    "2fa/totp/activate/": MEMBER,
    "2fa/totp/deactivate/": MEMBER,
    "2fa/recovery-codes/": MEMBER,
    "2fa/recovery-codes/generate/": MEMBER,
    "2fa/recovery-codes/download/": MEMBER,
    "2fa/webauthn/": MEMBER,
    "2fa/webauthn/add/": MEMBER,
    "2fa/webauthn/reauthenticate/": MEMBER,
    "2fa/webauthn/keys/<int:pk>/remove/": PERSON,
    "2fa/webauthn/keys/<int:pk>/edit/": PERSON,
    "2fa/webauthn/login/": OPEN,
    "3rdparty/": MEMBER,
    "3rdparty/signup/": OPEN,
    "3rdparty/login/cancelled/": OPEN,
    "3rdparty/login/error/": OPEN,
    "social/connections/": OPEN,  # old addresses of the same pages, to which they lead
    "social/signup/": OPEN,
    "social/login/cancelled/": OPEN,
    "social/login/error/": OPEN,
    "saml/<slug:organization_slug>/acs/finish/": OPEN,
    "^saml/(?P<organization_slug>[^/]+)/acs/": OPEN,
    "^saml/(?P<organization_slug>[^/]+)/acs/finish/": OPEN,
    "^saml/(?P<organization_slug>[^/]+)/sls/": OPEN,
    "^saml/(?P<organization_slug>[^/]+)/metadata/": OPEN,
    "^saml/(?P<organization_slug>[^/]+)/login/": OPEN,
    "oidc/^(?P<provider_id>[^/]+)/login/": OPEN,
    "oidc/^(?P<provider_id>[^/]+)/login/callback/": OPEN,
    "sessions/": MEMBER,
}
"""Who may have the addresses of django-allauth, beneath `accounts/`: whoever comes to sign in, every account for
itself, or the one person whose key it is."""

UNSEEN = {
    "license/<id:license_id>/seats/": "no license of the house counts seats: tests/portal/licensing looks at it",
    "billing/invoices/<id:invoice_id>/refund/": "it needs more money than is owed: tests/portal/billing/test_pages.py",
    "billing/refunds/<id:refund_id>/": "it needs more money than is owed: tests/portal/billing/test_pages.py",
}
"""Pages that the journeys do not look at, each with its reason; all others stand in `support.pages.PAGES`."""

UNSEEN_ACCOUNTS = {
    **dict.fromkeys(
        (
            "accounts/2fa/authenticate/", "accounts/2fa/reauthenticate/", "accounts/2fa/recovery-codes/",
            "accounts/2fa/recovery-codes/generate/", "accounts/2fa/totp/deactivate/",
            "accounts/2fa/webauthn/keys/<int:pk>/edit/", "accounts/2fa/webauthn/keys/<int:pk>/remove/",
            "accounts/2fa/webauthn/reauthenticate/",
        ),
        "it needs a second step: tests/journeys/pages/test_joining.py makes one",
    ),
    **dict.fromkeys(
        ("accounts/2fa/recovery-codes/download/", "accounts/2fa/webauthn/login/"), "it is a file, or asked by a script"
    ),
    **dict.fromkeys(
        (
            "accounts/3rdparty/", "accounts/3rdparty/login/cancelled/", "accounts/3rdparty/login/error/",
            "accounts/3rdparty/signup/", "accounts/social/connections/", "accounts/social/login/cancelled/",
            "accounts/social/login/error/", "accounts/social/signup/",
            "accounts/^saml/(?P<organization_slug>[^/]+)/acs/",
            "accounts/^saml/(?P<organization_slug>[^/]+)/acs/finish/",
            "accounts/^saml/(?P<organization_slug>[^/]+)/login/",
            "accounts/^saml/(?P<organization_slug>[^/]+)/metadata/",
            "accounts/^saml/(?P<organization_slug>[^/]+)/sls/",
            "accounts/oidc/^(?P<provider_id>[^/]+)/login/", "accounts/oidc/^(?P<provider_id>[^/]+)/login/callback/",
            "accounts/saml/<slug:organization_slug>/acs/finish/",
        ),
        "it needs an organisation's own provider",
    ),
    "accounts/confirm-email/": "it needs somebody who has just signed up and waits for the code",
    "accounts/login/code/confirm/": "codes sign nobody in here",
    "accounts/email/": "no page leads to it",
    "accounts/inactive/": "nobody is inactive",
    "accounts/password/set/": "it needs somebody without a password",
}  # fmt: skip
"""The same for pages of allauth's."""


def seen() -> set[str]:
    """Routes of the pages that the journeys look at."""
    begun = {page.address.partition("?")[0] for page in PAGES if not page.link}
    exact = {address.lstrip("/") for address in begun}
    shown = {route for route in CLASSIFIED if "<" in route and any(fits(route, each) for each in begun)}
    return exact | shown | {page.link for page in PAGES if page.link} | set(LINKS.values())


def addresses(*, elsewhere: bool = False) -> list[str]:
    def walk(resolver, before: str = ""):
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLPattern):
                yield before + str(pattern.pattern)
            else:
                yield from walk(pattern, before + str(pattern.pattern))

    return sorted(each for each in walk(get_resolver()) if each.startswith(ELSEWHERE) == elsewhere)


def test_every_address_is_classified():
    found = set(addresses())
    missing = "\n".join(f'    "{address}": OWN,' for address in sorted(found - CLASSIFIED.keys()))
    assert not missing, f"Say in CLASSIFIED who may have these, in their place of the alphabet:\n{missing}"
    assert not CLASSIFIED.keys() - found, "these are gone"


def test_every_page_of_accounts_is_looked_at():
    """Those of allauth's are not asked here, so that each is named: one that it adds fails."""
    found = {each for each in addresses(elsewhere=True) if each.startswith("accounts/")}
    begun = (page.address.partition("?")[0] for page in PAGES if page.address.startswith("/accounts/"))
    shown = {resolve(address).route for address in begun} | set(LINKS.values())
    assert found - shown - UNSEEN_ACCOUNTS.keys() == set(), "put them into PAGES, or into UNSEEN_ACCOUNTS"
    assert UNSEEN_ACCOUNTS.keys() - (found - shown) == set(), "these are gone, or looked at"


def test_every_address_of_sign_in_is_classified_and_keeps_to_it(cast, redis):
    """A stranger's key is not there; what is somebody's own asks who one is."""
    found = {each.removeprefix("accounts/") for each in addresses(elsewhere=True) if each.startswith("accounts/")}
    assert found == SIGN_IN.keys(), "say in SIGN_IN who may have what is new"
    key = Authenticator.objects.create(user=cast.owner, type=Authenticator.Type.WEBAUTHN, data={"name": "mine"})
    nobody, stranger = Client(), Client()
    assert stranger.post("/accounts/login/", {"login": cast.stranger.email, "password": "correct horse"}).status_code
    assert stranger.post("/accounts/reauthenticate/", {"password": "correct horse"}).status_code == 302
    for name, kind in SIGN_IN.items():
        if kind in {MEMBER, PERSON}:
            address = "/accounts/" + name.replace("<int:pk>", str(key.pk))
            answer = nobody.get(address)
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/login/"), name
        if kind == PERSON:
            assert stranger.get(address).status_code == stranger.post(address).status_code == 404, name
    assert Authenticator.objects.filter(pk=key.pk).exists()


def bought(cast) -> dict[str, str]:
    """An order of the label, its invoice with a credit note, a payment and a declaration that waits."""
    shop = shop_open(cast, buyer=cast.label)
    quote = quote_make(organisation=cast.label, tier="enterprise", months=1, by=cast.owner)
    order = order_place(quote=quote, by=cast.owner)
    invoice = order.invoices.get()
    shop.bank(dollars(10_000_000))
    shop.declare(organisation=cast.label, by=cast.owner)
    return {
        "quote_id": quote.pk,
        "order_id": order.pk,
        "invoice_id": invoice.pk,
        "note_id": credit_note_issue(invoice=invoice, total=10_000, reason="Test", by=cast.rights).pk,
        "payment_id": payments_queued().get().pk,
        "declaration_id": shop.declare(
            1, organisation=cast.label, by=cast.owner, evidence=pdf(), evidence_name="a.pdf"
        ).pk,
    }


@pytest.fixture
def world(granted, cast, recordings, storage, redis, settings_changed, keyring):
    """One of everything of the label, none of it the stranger's."""
    settings_changed(webhook_private_hosts="localhost")
    own = recordings[0]
    Recording.objects.filter(id=own.id).update(organisation=cast.label)
    license_ = license_grant(organisation=cast.label, tier="community", months=1, by=None)
    entitlement_publish(license_.id)
    hook = endpoint_create(organisation=cast.label, url="http://localhost:1/", by=cast.owner).endpoint
    one, other = sorted(recordings[:2], key=lambda each: each.id)
    snapshot = snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=["ai_generative_training"], by=None)
    batch = Import.objects.create(
        organisation=cast.label, name="x.csv", key="x", size=1, sha256="0" * 64, format="csv",
        state="staged", created_by="x", created_at=own.created_at,
    )  # fmt: skip
    likeness = Likeness.objects.create(
        one=one, other=other, kind="score", score=0.8, detail={"shared": 0.8, "limit": 0.7}, found_at=own.created_at
    )
    consent = granted["Label"]
    domain = Domain.objects.create(organisation=cast.label, name="label.example", token="t", proved_at=own.created_at)
    mark = reservation_state(
        recording=own, party=consent.party, refused=["ai_training"], reason="Not yet.", by=cast.owner
    )
    invitation = invite(organisation=cast.label, email="new@stemma.test", role="member", by=cast.owner)
    custody = custody_set(
        recordings=[own.id], party=granted["Artist"].party, terms="Ask.", conditions=[], by=None, by_staff=True
    )
    return {
        **bought(cast),
        "case_id": claimed(cast.label, cast.owner).pk,
        "deadline_id": breach_state(license_=license_, reason="Test.", by=cast.rights).pk,
        "custody_id": custody.id,
        "domain_id": domain.id,
        "reservation_id": mark.id,
        "invitation_id": invitation.id,
        "token_id": token_create(user=cast.owner, name="x", by=cast.owner)[0].id,
        "token": link_of(invitation).split("/")[-2],
        "membership_id": cast.label.memberships.get(user=cast.owner).id,
        "recording_id": own.id,
        "work_id": own.work_id,
        "consent_id": consent.id,
        "withdrawal_id": consent_withdraw(consent=consent, recording_id=recordings[1].id, by=cast.owner).id,
        "claim_id": claim_open(recording=own, claimant="Somebody", reason="Mine.", by=cast.rights).id,
        "license_id": license_.id,
        "digest": license_.covenant_id,
        "key_id": api_key_create(license_=license_, name="k", by=None)[0].id,
        "file_id": license_file_issue(license_=license_, by=None).id,
        "endpoint_id": hook.id,
        "delivery_id": ping(endpoint=hook, by=cast.owner).id,
        "import_id": batch.id,
        "upload_id": upload_begin(organisation=cast.label, name="a.wav", size=9, by=cast.owner).id,
        "release_id": Release.objects.create(title="Album", organisation=cast.label).id,
        "likeness_id": likeness.id,
        "snapshot_id": snapshot.id,
        "notice_id": Notice.objects.filter(user=cast.owner).first().pk,
        "generation_id": certified(license_, keyring, storage),
        "signed": sign(cast.owner.pk, Topic.SHARES),
        "party_id": consent.party_id,
        "name": "none",
        "version": "1",
        "period_id": "2026-01",
    }


def filled(address: str, world: dict[str, str]) -> str:
    return "/" + re.sub(r"<\w+:(\w+)>", lambda found: world.get(found[1], ident("none")), address)


def turned_away(answer) -> bool:
    """Sent to sign in, asked for the password once more, or refused."""
    asked = answer.status_code == 302 and "/accounts/" in answer["Location"]
    return asked or answer.status_code in {403, 404, 405}


def is_page(answer) -> bool:
    """Whether people see it, perhaps after they have given their password once more."""
    if answer.status_code == 200:
        return answer["Content-Type"].startswith("text/html")
    return answer.status_code == 302 and answer["Location"].startswith("/accounts/reauthenticate/")


@pytest.mark.parametrize("who", [None, "stranger", "licensee", "teammate", "owner", "rights", "operator"])
def test_who_may_have_what(world, cast, who):
    browser = Client(raise_request_exception=False)
    if who:
        browser.force_login(getattr(cast, who))
    before = AuditEvent.objects.count()
    house = who in {"rights", "operator"}
    pages = set()
    for address, kind in CLASSIFIED.items():
        answer = browser.get(filled(address, world))
        told = (who, address, answer.status_code)
        if is_page(answer):
            pages.add(address)
        assert answer.status_code < 500, told
        if kind == OPEN:
            assert answer.status_code in {200, 405} or answer["Location"] == "/sign-on/", told
        elif who is None:
            assert answer.status_code == 302, told
            assert "/accounts/login/" in answer["Location"], told
        elif (kind == OWN and who == "stranger") or (kind == OWNER and who == "teammate"):
            assert turned_away(answer), told
        elif kind == PERSON:
            assert turned_away(answer) == (who != "owner"), told
        elif kind == STAFF:
            assert house or turned_away(answer), told
        elif kind == OPERATOR:
            assert (answer.status_code == 200) == (who == "operator"), told
        if kind == ACT and who in {None, "stranger", "licensee", "teammate"}:
            answer = browser.post(filled(address, world))
            if address != "organisation/" or who is None:
                said = (who, address, answer.status_code, answer.content[:200])
                assert turned_away(answer) or (who == "teammate" and answer.status_code == 200), said
    assert pages - seen() - UNSEEN.keys() == set(), "put them into support.pages.PAGES, so that they are looked at"
    assert AuditEvent.objects.count() == before, "looking changes nothing, and who may not act does not"


def test_owners_and_their_teammates_see_what_is_theirs(world, cast):
    mine = [
        address
        for address, kind in CLASSIFIED.items()
        if kind == OWN and set(re.findall(r":(\w+)>", address)) <= world.keys()
    ]
    assert len(mine) > 15
    for who in ("owner", "teammate"):
        browser = Client()
        browser.force_login(getattr(cast, who))
        for address in mine:
            answer = browser.get(filled(address, world))
            present = "absence" in address  # the snapshot holds the recording: there is no such proof
            hidden = address == "snapshots/<id:snapshot_id>/"  # others meet snapshots through their models
            assert answer.status_code == 200 or present or hidden, (who, address, answer.status_code)
