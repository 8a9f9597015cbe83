"""What the frame of every page shows: theme, navigation, the organisation one acts for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from stemma.config import settings
from stemma_portal.accounts.acting import acting, organisations
from stemma_portal.accounts.models import Organisation
from stemma_portal.notices.selectors import MOST_COUNTED, unread_count

THEMES = ("light", "dark")
Kind = Organisation.Kind

PAGES = {
    "home": ("Home", "dashboards:home"),
    "catalog": ("Catalog", "dashboards:recordings"),
    "imports": ("Imports", "intake:imports"),
    "audio": ("Audio", "audio:uploads"),
    "consent": ("Consent", "consent:consents"),
    "claims": ("Claims", "consent:claims"),
    "snapshots": ("Snapshots", "operations:snapshots"),
    "models": ("Models", "operations:releases"),
    "generations": ("Generations", "metering:generations"),
    "certificates": ("Certificates", "certificates:certificates"),
    "royalties": ("Royalties", "royalties:royalties"),
    "playground": ("Playground", "dashboards:playground"),
    "license": ("License", "licensing:licenses"),
    "billing": ("Billing", "billing:overview"),
    "indemnity": ("Indemnity", "indemnity:claims"),
    "developers": ("Developers", "dashboards:developers"),
    "status": ("Status", "dashboards:status"),
}
NAVIGATION: dict[str, tuple[str, ...]] = {
    Kind.LABEL: ("catalog", "imports", "audio", "consent", "claims", "models", "royalties"),
    Kind.ARTIST: ("catalog", "imports", "audio", "consent", "claims", "models", "royalties"),
    Kind.ENTERPRISE: (
        *("playground", "generations", "certificates", "license", "billing", "indemnity", "models"),
        *("developers", "catalog"),
    ),
    Kind.RIGHTS: (
        "catalog",
        "imports",
        "audio",
        "consent",
        "claims",
        "snapshots",
        "models",
        "generations",
        "royalties",
        "billing",
        "indemnity",
    ),
    Kind.OPS: ("catalog", "snapshots", "models", "generations", "royalties", "billing", "status"),
}
KINDS = {
    Kind.LABEL: "Label",
    Kind.ARTIST: "Artist",
    Kind.ENTERPRISE: "Licensee",
    Kind.RIGHTS: "Rights staff",
    Kind.OPS: "Operations",
}


@dataclass(frozen=True)
class Item:
    """An entry of the navigation."""

    title: str
    url: str
    current: bool


def navigation(organisation: Organisation, path: str) -> list[Item]:
    """The pages that concern this kind of organisation."""
    items = []
    for name in NAVIGATION[organisation.kind]:
        title, view = PAGES[name]
        url = reverse(view)
        items.append(Item(title=title, url=url, current=path.startswith(url)))
    return items


def shell(request: HttpRequest) -> dict[str, Any]:
    """The context of `base.html`."""
    theme = request.COOKIES.get("theme")
    context: dict[str, Any] = {
        "theme": theme if theme in THEMES else None,
        "signup_open": settings().sign_up == "open",
    }
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return context
    organisation = acting(request)
    # Counted when the frame is drawn: fragments of pages have none.
    context |= {"unread_notices": partial(unread_count, request.user), "unread_most": MOST_COUNTED}
    if organisation is not None:
        context |= {
            "organisation": organisation,
            "house": organisation.kind in {Kind.RIGHTS, Kind.OPS},
            "organisation_kind": KINDS[Kind(organisation.kind)],
            "organisations": organisations(request),
            "navigation": navigation(organisation, request.path),
        }
    return context
