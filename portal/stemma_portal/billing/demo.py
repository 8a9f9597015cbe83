"""The demonstration's billing: a seller, a licensee that has declared, ordered and not paid yet."""

from datetime import date

from django.db import transaction

from stemma.ids import now
from stemma_portal.accounts.models import Membership, Organisation
from stemma_portal.billing.declaring import declaration_make
from stemma_portal.billing.invoicing import order_place, quote_make
from stemma_portal.billing.models import RateTable, Seller
from stemma_portal.billing.tables import buyer_set, seller_set, table_import

TAX = b"country,percent,from\nDE,19,2007-01-01\n"
# Numbers that check and belong to nobody: those that the standards' own examples use.
ACCOUNT, NUMBER = "DE75512108001245126199", "DE136695976"
BUYER, STAFF = "enterprise", "ops"


@transaction.atomic
def billing_demo() -> bool:
    """Make it, once; whether anything was made.  Where a seller is set nothing is."""
    if Seller.objects.exists():
        return False
    staff, buyer = (Membership.objects.filter(organisation__slug=slug).first() for slug in (STAFF, BUYER))
    if staff is None or buyer is None:
        return False
    organisation = Organisation.objects.get(slug=BUYER)
    seller_set(
        name="Stemma Demo", street="Bachgasse 1", postcode="04109", city="Leipzig", country="DE",
        email="ops@stemma.test", vat=NUMBER, account=ACCOUNT, by=staff.user,
    )  # fmt: skip
    table_import(kind=RateTable.Kind.TAX, body=TAX, by=staff.user)
    buyer_set(
        organisation=organisation, name=organisation.name, street="Brühl 33", postcode="04109", city="Leipzig",
        country="DE", email=buyer.user.email, by=buyer.user,
    )  # fmt: skip
    year = now().year - 1
    declaration_make(
        organisation=organisation, entity=organisation.name, amount=8_400_000 * 10**6, currency="USD",
        starts=date(year, 1, 1), ends=date(year, 12, 31), by=buyer.user,
    )  # fmt: skip
    quote = quote_make(organisation=organisation, tier="enterprise", months=12, by=buyer.user)
    order_place(quote=quote, by=buyer.user)
    return True
