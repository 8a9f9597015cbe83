"""Every page of the portal: for whom, and how one gets there.  Tests look at them, `screenshots` shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from lxml import html
from playwright.sync_api import Page as Tab

from stemma.ids import named_id

VALUES = {"<id:": "[0-9a-f-]{36}"}
"""How the values in addresses look, by the beginning of their place in the route."""


def fits(route: str, address: str) -> bool:
    """Whether the address is one of the route, which is written as Django writes it."""
    parts = re.split(r"(<\w+:\w+>)", route)
    pattern = "".join(VALUES.get(part[:4], "[^/]+") if part.startswith("<") else re.escape(part) for part in parts)
    return re.fullmatch("/" + pattern, urlsplit(address).path) is not None


@dataclass(frozen=True)
class Page:
    """A page that is reached from an address, perhaps by following a link on it."""

    name: str
    role: str | None
    """The demo organisation whose person looks; None for a stranger."""
    address: str
    """Where one begins: an address, or the name of a page that has the link.  `{…}` stands for a link of the seed's."""
    link: str = ""
    """The route of the link that leads on to the page."""
    beside: str = ""
    """What stands in the row of that link, where several rows have one."""
    status: int = 200

    def find(self, sent: Callable[[str], str], links: Mapping[str, str] = MappingProxyType({})) -> str:
        """Its address; `sent` gives the HTML of another one."""
        begin = self.address.format_map(links)
        if not begin.startswith("/"):
            begin = named(begin).find(sent, links)
        if not self.link:
            return begin
        for link in html.fromstring(sent(begin)).iterfind(".//main//a[@href]"):
            row = next(link.iterancestors("tr"), link)
            if fits(self.link, link.get("href")) and self.beside in row.text_content():
                return str(link.get("href"))
        raise AssertionError(f"{self.name}: {begin} has no link to {self.link}")

    def open(self, tab: Tab, url: str) -> int:
        """Go there; the status of the answer."""
        answer = tab.goto(url + self.find(lambda address: tab.context.request.get(url + address).text()))
        assert answer is not None
        return answer.status


def named(name: str) -> Page:
    """The page of this name."""
    return next(page for page in PAGES if page.name == name)


LINKS = {
    "invitation": "invitations/<str:token>/",
    "off": "notices/off/<str:signed>/",
    "quote": "billing/quotes/<id:quote_id>/",
    "reset": "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
}
"""Routes of the addresses that the seed tells, since no page has a link to them."""

CORRECTION = "royalties/statements/<id:statement_id>/recordings/<id:recording_id>/correction/"
PAGES = (
    Page("landing", None, "/"),
    Page("sign-in", None, "/accounts/login/"),
    Page("sign-up", None, "/accounts/signup/"),
    Page("sign-on", None, "/sign-on/"),
    Page("password-reset", None, "/accounts/password/reset/"),
    Page("password-reset-sent", None, "/accounts/password/reset/done/"),
    Page("password-new", None, "{reset}"),
    Page("password-new-done", None, "/accounts/password/reset/key/done/"),
    Page("password-link-void", None, "/accounts/password/reset/key/1-void/"),
    Page("invitation", None, "{invitation}"),
    Page("notices-off", None, "{off}"),
    Page("verify", None, "/verify/"),
    Page("log", None, "/log/"),
    Page("home-label", "label", "/"),
    Page("home-artist", "artist", "/"),
    Page("home-licensee", "enterprise", "/"),
    Page("home-rights", "rights", "/"),
    Page("home-operations", "ops", "/"),
    Page("catalog", "rights", "/catalog/"),
    Page("catalog-empty", "rights", "/catalog/?q=nothing-is-called-so"),
    Page("recording", "label", "/catalog/", "catalog/<id:recording_id>/"),
    Page("work", "label", f"/catalog/works/{named_id('seed', 'work', 'Wachet auf')}/"),
    Page("albums", "label", "/releases/"),
    Page("album", "label", "/releases/", "releases/<id:release_id>/"),
    Page("custodies", "rights", "/custody/"),
    Page("custody", "artist", "/custody/", "custody/<id:custody_id>/"),
    Page("custody-answer", "artist", "custody", "custody/<id:custody_id>/answer/"),
    Page("custody-staff", "rights", "/custody/", "custody/<id:custody_id>/", beside="Demo choir of the old town"),
    Page("custody-end", "rights", "custody-staff", "custody/<id:custody_id>/end/"),
    Page("custody-new", "label", f"/custody/new/?recording={named_id('seed', 'recording', 'Wachet auf')}"),
    Page("duplicates", "rights", "/duplicates/"),
    Page("duplicate", "rights", "/duplicates/", "duplicates/<id:likeness_id>/"),
    Page("shares", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/shares/"),
    Page("share-questions", "artist", "/shares/"),
    Page("share-history", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/shares/history/"),
    Page("imports", "label", "/imports/"),
    Page("import-columns", "label", "/imports/", "imports/<id:import_id>/", beside="Columns to confirm"),
    Page("import-review", "label", "/imports/", "imports/<id:import_id>/", beside="To confirm"),
    Page("import-done", "label", "/imports/", "imports/<id:import_id>/", beside="Imported"),
    Page("audio", "label", "/audio/"),
    Page("audio-unknown", "label", "/audio/", "audio/<id:upload_id>/", beside="untitled"),
    Page("audio-doubt", "label", "/audio/", "audio/<id:upload_id>/", beside="QZ-STM"),
    Page("audio-refused", "label", "/audio/?show=refused", "audio/<id:upload_id>/"),
    Page("carried", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/carried/"),
    Page("webhooks", "label", "/webhooks/"),
    Page("webhook", "label", "/webhooks/", "webhooks/<id:endpoint_id>/"),
    Page("webhook-new", "label", "/webhooks/new/"),
    Page("webhook-keys", "label", "webhook", "webhooks/<id:endpoint_id>/keys/"),
    Page("notices", "label", "/notices/"),
    Page("notices-empty", "enterprise", "/notices/?topic=audio"),
    Page("notice-preferences", "label", "/notices/preferences/"),
    Page("tokens", "label", "/tokens/"),
    Page("token-new", "label", "/tokens/new/"),
    Page("consents", "label", "/consent/"),
    Page("consent", "label", "/consent/", "consent/<id:consent_id>/"),
    Page("withdraw", "label", "consent", "consent/<id:consent_id>/withdraw/"),
    Page("grant", "label", "/consent/new/"),
    Page("reservations", "label", "/reservations/"),
    Page("reserve", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/reservation/"),
    Page("reservation", "label", "/reservations/", "reservations/<id:reservation_id>/settle/"),
    Page("claims", "rights", "/claims/"),
    Page("case-staff", "rights", "/claims/", "claims/<id:claim_id>/"),
    Page("case-owner", "label", "/claims/", "claims/<id:claim_id>/"),
    Page("case-new", "label", "/claims/new/"),
    Page("snapshots", "rights", "/snapshots/"),
    Page("snapshot-refused", "rights", "/snapshots/", "snapshots/<id:snapshot_id>/", beside="everything"),
    Page("snapshot", "rights", "/snapshots/", "snapshots/<id:snapshot_id>/", beside="eligible"),
    Page("releases", "label", "/models/"),
    Page("release", "label", "/models/", "models/<slug:name>/<str:version>/"),
    Page("release-licensee", "enterprise", "/models/", "models/<slug:name>/<str:version>/"),
    Page("training", "ops", "/training/"),
    Page("downloads", "enterprise", "/models/downloads/"),
    Page("downloads-staff", "rights", "/models/downloads/"),
    Page("generations", "enterprise", "/generations/"),
    Page("generation", "enterprise", "/generations/", "generations/<id:generation_id>/", beside="Attributed"),
    Page("certificates", "enterprise", "/certificates/"),
    Page("certificate", "enterprise", "/certificates/", "certificates/<id:generation_id>/"),
    Page("certificate-people", "enterprise", f"/certificates/{named_id('seed', 'generation', '0')}/statement/"),
    Page("certificate-public", None, f"/certificate/{named_id('seed', 'generation', '0')}/"),
    Page("playground", "enterprise", "/playground/"),
    Page("tiers", None, "/tiers/"),
    Page("tiers-signed-in", "enterprise", "/tiers/"),
    Page("developers", None, "/developers/"),
    Page("developers-licensed", "enterprise", "/developers/"),
    Page("covenants", None, "/covenants/"),
    Page("covenant", None, "/covenants/", "covenants/<str:digest>/"),
    Page("covenants-compare", None, "/covenants/compare/"),
    Page("license-accept", "enterprise", "/license/", "license/<id:license_id>/covenant/"),
    Page("license", "enterprise", "/license/"),
    Page("license-of", "rights", "/license/", "license/<id:license_id>/"),
    Page("license-key", "enterprise", "/license/", "license/<id:license_id>/keys/"),
    Page("license-key-rotate", "enterprise", "/license/", "license/<id:license_id>/keys/<id:key_id>/rotation/"),
    Page("license-file", "enterprise", "/license/", "license/<id:license_id>/files/"),
    Page("license-receipts", "enterprise", "/license/", "license/<id:license_id>/receipts/"),
    Page("breach", "rights", "license-of", "billing/licenses/<id:license_id>/breach/"),
    Page("licenses", "rights", "/license/"),
    Page("billing", "enterprise", "/billing/"),
    Page("billing-address", "enterprise", "/billing/address/"),
    Page("billing-quote", "enterprise", "/billing/quotes/new/"),
    Page("quote", "enterprise", "{quote}"),
    Page("invoices", "enterprise", "/billing/invoices/"),
    Page("invoice", "enterprise", "/billing/invoices/", "billing/invoices/<id:invoice_id>/"),
    Page("invoice-staff", "rights", "/billing/invoices/", "billing/invoices/<id:invoice_id>/"),
    Page("credit-note", "rights", "invoice-staff", "billing/invoices/<id:invoice_id>/credit/"),
    Page("order", "enterprise", "/billing/", "billing/orders/<id:order_id>/"),
    Page("revenue", "enterprise", "/billing/revenue/"),
    Page("revenue-new", "enterprise", "/billing/revenue/new/"),
    Page("usage", "enterprise", "/billing/usage/"),
    Page("declarations", "rights", "/billing/declarations/"),
    Page("usage-of", "rights", "/billing/usage/", "billing/usage/<id:license_id>/"),
    Page("usage-limit", "enterprise", "/billing/usage/", "billing/usage/<id:license_id>/limit/"),
    Page("declaration", "rights", "/billing/declarations/", "billing/declarations/<id:declaration_id>/"),
    Page("credit", "enterprise", "/billing/credit/"),
    Page("credit-new", "enterprise", "/billing/credit/new/"),
    Page("refunds", "rights", "/billing/refunds/"),
    Page("deadlines", "rights", "/billing/deadlines/"),
    Page("deadline", "rights", "/billing/deadlines/", "billing/deadlines/<id:deadline_id>/"),
    Page("payments", "rights", "/billing/payments/"),
    Page("bank-payment", "rights", "/billing/payments/", "billing/payments/<id:payment_id>/"),
    Page("billing-settings", "ops", "/billing/settings/"),
    Page("output-claims", "enterprise", "/indemnity/"),
    Page("output-claim", "enterprise", "/indemnity/", "indemnity/<id:case_id>/"),
    Page("output-claim-new", "enterprise", "/indemnity/new/"),
    Page("output-claims-staff", "rights", "/indemnity/"),
    Page("output-claim-staff", "rights", "/indemnity/", "indemnity/<id:case_id>/"),
    Page("royalties", "label", "/royalties/"),
    Page("traced", "label", "/royalties/", "royalties/parties/<id:party_id>/traced/"),
    Page("statement", "label", "/royalties/", "royalties/statements/<id:statement_id>/"),
    Page("earned", "artist", "/", "catalog/<id:recording_id>/earned/"),
    Page("correction", "artist", "earned", CORRECTION),
    Page("payment", "artist", "/royalties/payment/"),
    Page("payment-change", "artist", "/royalties/payment/change/"),
    Page("rights-holder", "rights", f"/royalties/parties/{named_id('seed', 'party', 'Northlight Demo Records')}/"),
    Page("periods", "rights", "/royalties/"),
    Page("period", "rights", "/royalties/", "royalties/periods/<str:period_id>/", beside="Closed"),
    Page("status", "ops", "/status/"),
    Page("team", "label", "/organisation/team/"),
    Page("sign-on-settings", "label", "/organisation/sign-on/"),
    Page("trail", "label", "/organisation/trail/"),
    Page("who-is-who", "rights", "/identities/"),
    Page("missing-owners", "label", "/consent/missing/"),
    Page("sessions", "label", "/accounts/sessions/"),
    Page("passkeys", "label", "/accounts/2fa/webauthn/"),
    Page("passkey-new", "label", "/accounts/2fa/webauthn/add/"),
    Page("password", "label", "/accounts/password/change/"),
    Page("second-step-code", "label", "/accounts/2fa/totp/activate/"),
    Page("once-more", "label", "/accounts/reauthenticate/?next=/"),
    Page("sign-out", "label", "/accounts/logout/"),
    Page("not-there", "label", "/no-such-page/", status=404),
    Page("not-allowed", "rights", "/status/", status=403),
    Page("second-step", "label", "/accounts/2fa/"),
)
