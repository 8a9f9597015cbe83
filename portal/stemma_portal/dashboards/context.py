"""What the frame of every page shows: theme, navigation, the organisation one acts for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

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
WITHIN = {
    "catalog": ("dashboards:duplicates", "dashboards:share_questions", "dashboards:releases"),
    "consent": ("consent:reservations",),
    "models": ("operations:training",),
}
"""Pages at addresses of their own that lead back to one of these."""


class Under(NamedTuple):
    """Pages that share an entry, which opens them."""

    title: str
    names: tuple[str, ...]


MODELS = Under("Models", ("snapshots", "models", "generations"))
NAVIGATION: dict[str, tuple[str | Under, ...]] = {
    Kind.LABEL: ("catalog", "imports", "audio", "consent", "claims", "models", "royalties"),
    Kind.ARTIST: ("catalog", "imports", "audio", "consent", "claims", "models", "royalties"),
    Kind.ENTERPRISE: (
        *("playground", "generations", "certificates"),
        Under("Licensing", ("license", "billing", "indemnity")),
        *(Under("Models", ("models", "catalog")), "developers"),
    ),
    Kind.RIGHTS: (
        *("catalog", "imports", "audio", "consent", "claims"),
        *(MODELS, Under("Money", ("royalties", "billing", "indemnity"))),
    ),
    Kind.OPS: ("catalog", MODELS, Under("Money", ("royalties", "billing")), "status"),
}
"""As many entries as stand in one line beside a name, from 62rem on (see layout.css)."""
KINDS = {
    Kind.LABEL: "Label",
    Kind.ARTIST: "Artist",
    Kind.ENTERPRISE: "Licensee",
    Kind.RIGHTS: "Rights staff",
    Kind.OPS: "Operations",
}


@dataclass(frozen=True)
class Item:
    """A page in the navigation."""

    title: str
    url: str
    current: bool


@dataclass(frozen=True)
class Group:
    """An entry of the navigation that opens several pages."""

    title: str
    pages: list[Item]

    @property
    def current(self) -> bool:
        """Whether one of them is shown."""
        return any(page.current for page in self.pages)


def navigation(organisation: Organisation, path: str) -> list[Item | Group]:
    """The pages that concern this kind of organisation."""

    def item(name: str) -> Item:
        title, view = PAGES[name]
        urls = [reverse(each) for each in (view, *WITHIN.get(name, ()))]
        return Item(title=title, url=urls[0], current=path.startswith(tuple(urls)))

    return [
        Group(entry.title, [item(name) for name in entry.names]) if isinstance(entry, Under) else item(entry)
        for entry in NAVIGATION[organisation.kind]
    ]


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
