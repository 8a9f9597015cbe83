"""Every page of the portal: for whom, and how one gets there.  Tests look at them, `screenshots` shows them."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page as Tab

from stemma.ids import named_id


@dataclass(frozen=True)
class Page:
    """A page that is reached from an address, perhaps by following a link on it."""

    name: str
    role: str | None
    """The demo organisation whose person looks; None for a stranger."""
    address: str
    follow: str = ""
    """Selector of the link that leads on to the page."""

    def open(self, tab: Tab, url: str) -> int:
        """Go there; the status of the answer."""
        answer = tab.goto(url + self.address)
        if self.follow:
            href = tab.locator(self.follow).first.get_attribute("href")
            answer = tab.goto(url + str(href))
        assert answer is not None
        return answer.status


FIRST = "main tbody a.row-title"
PAGES = (
    Page("landing", None, "/"),
    Page("sign-in", None, "/accounts/login/"),
    Page("sign-up", None, "/accounts/signup/"),
    Page("sign-on", None, "/sign-on/"),
    Page("verify", None, "/verify/"),
    Page("home-label", "label", "/"),
    Page("home-artist", "artist", "/"),
    Page("home-licensee", "enterprise", "/"),
    Page("home-rights", "rights", "/"),
    Page("home-operations", "ops", "/"),
    Page("catalog", "rights", "/catalog/"),
    Page("catalog-empty", "rights", "/catalog/?q=nothing-is-called-so"),
    Page("recording", "label", "/catalog/", follow=FIRST),
    Page("work", "label", f"/catalog/works/{named_id('seed', 'work', 'Wachet auf')}/"),
    Page("albums", "label", "/releases/"),
    Page("album", "label", "/releases/", follow=FIRST),
    Page("custodies", "rights", "/custody/"),
    Page("custody", "artist", "/custody/", follow=FIRST),
    Page("custody-new", "label", f"/custody/new/?recording={named_id('seed', 'recording', 'Wachet auf')}"),
    Page("duplicates", "rights", "/duplicates/"),
    Page("duplicate", "rights", "/duplicates/", follow=FIRST),
    Page("shares", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/shares/"),
    Page("share-questions", "artist", "/shares/"),
    Page("share-history", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/shares/history/"),
    Page("imports", "label", "/imports/"),
    Page("import-columns", "label", "/imports/", follow="tr:has-text('Columns to confirm') a.row-title"),
    Page("import-review", "label", "/imports/", follow="tr:has-text('To confirm') a.row-title"),
    Page("import-done", "label", "/imports/", follow="tr:has-text('Imported') a.row-title"),
    Page("audio", "label", "/audio/"),
    Page("audio-unknown", "label", "/audio/", follow="tr:has-text('untitled') a.row-title"),
    Page("audio-doubt", "label", "/audio/", follow="tr:has-text('QZ-STM') a.row-title"),
    Page("audio-refused", "label", "/audio/?show=refused", follow=FIRST),
    Page("carried", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/carried/"),
    Page("webhooks", "label", "/webhooks/"),
    Page("webhook", "label", "/webhooks/", follow=FIRST),
    Page("webhook-new", "label", "/webhooks/new/"),
    Page("notices", "label", "/notices/"),
    Page("notices-empty", "enterprise", "/notices/?topic=audio"),
    Page("notice-preferences", "label", "/notices/preferences/"),
    Page("consents", "label", "/consent/"),
    Page("consent", "label", "/consent/", follow=FIRST),
    Page("grant", "label", "/consent/new/"),
    Page("reservations", "label", "/reservations/"),
    Page("reserve", "label", f"/catalog/{named_id('seed', 'recording', 'Wachet auf')}/reservation/"),
    Page("reservation", "label", "/reservations/", follow="a[aria-label^=Settle]"),
    Page("claims", "rights", "/claims/"),
    Page("case-staff", "rights", "/claims/", follow=FIRST),
    Page("case-owner", "label", "/claims/", follow=FIRST),
    Page("case-new", "label", "/claims/new/"),
    Page("snapshots", "rights", "/snapshots/"),
    Page("snapshot-refused", "rights", "/snapshots/", follow="tr:has-text('everything') a.row-title"),
    Page("snapshot", "rights", "/snapshots/", follow="tr:has-text('eligible') a.row-title"),
    Page("releases", "label", "/models/"),
    Page("release", "label", "/models/", follow=FIRST),
    Page("release-licensee", "enterprise", "/models/", follow=FIRST),
    Page("downloads", "enterprise", "/models/downloads/"),
    Page("downloads-staff", "rights", "/models/downloads/"),
    Page("generations", "enterprise", "/generations/"),
    Page("generation", "enterprise", "/generations/", follow="tr:has-text('Attributed') a.row-title"),
    Page("certificates", "enterprise", "/certificates/"),
    Page("certificate", "enterprise", "/certificates/", follow=FIRST),
    Page("certificate-people", "enterprise", f"/certificates/{named_id('seed', 'generation', '0')}/statement/"),
    Page("certificate-public", None, f"/certificate/{named_id('seed', 'generation', '0')}/"),
    Page("playground", "enterprise", "/playground/"),
    Page("tiers", None, "/tiers/"),
    Page("tiers-signed-in", "enterprise", "/tiers/"),
    Page("developers", None, "/developers/"),
    Page("developers-licensed", "enterprise", "/developers/"),
    Page("covenants", None, "/covenants/"),
    Page("covenant", None, "/covenants/", follow=FIRST),
    Page("covenants-compare", None, "/covenants/compare/"),
    Page("license-accept", "enterprise", "/license/", follow="a[href$='/covenant/']"),
    Page("license", "enterprise", "/license/"),
    Page("licenses", "rights", "/license/"),
    Page("billing", "enterprise", "/billing/"),
    Page("billing-address", "enterprise", "/billing/address/"),
    Page("billing-quote", "enterprise", "/billing/quotes/new/"),
    Page("invoices", "enterprise", "/billing/invoices/"),
    Page("invoice", "enterprise", "/billing/invoices/", follow=FIRST),
    Page("order", "enterprise", "/billing/", follow="a[href^='/billing/orders/']"),
    Page("revenue", "enterprise", "/billing/revenue/"),
    Page("revenue-new", "enterprise", "/billing/revenue/new/"),
    Page("usage", "enterprise", "/billing/usage/"),
    Page("declarations", "rights", "/billing/declarations/"),
    Page("credit", "enterprise", "/billing/credit/"),
    Page("credit-new", "enterprise", "/billing/credit/new/"),
    Page("refunds", "rights", "/billing/refunds/"),
    Page("deadlines", "rights", "/billing/deadlines/"),
    Page("payments", "rights", "/billing/payments/"),
    Page("billing-settings", "ops", "/billing/settings/"),
    Page("output-claims", "enterprise", "/indemnity/"),
    Page("output-claim", "enterprise", "/indemnity/", follow=FIRST),
    Page("output-claim-new", "enterprise", "/indemnity/new/"),
    Page("output-claims-staff", "rights", "/indemnity/"),
    Page("output-claim-staff", "rights", "/indemnity/", follow=FIRST),
    Page("royalties", "label", "/royalties/"),
    Page("statement", "label", "/royalties/", follow=FIRST),
    Page("earned", "artist", "/", follow="section[aria-labelledby=heard] a.row-title"),
    Page("payment", "artist", "/royalties/payment/"),
    Page("payment-change", "artist", "/royalties/payment/change/"),
    Page("periods", "rights", "/royalties/"),
    Page("period", "rights", "/royalties/", follow="tr:has-text('Closed') a.row-title"),
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
    Page("second-step", "label", "/accounts/2fa/"),
)
