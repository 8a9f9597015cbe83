"""Quotes, orders, invoices, payments and declarations.  Amounts are micro-units.

What was written to somebody outside, or came from a bank, is never changed: a credit note takes back, a
match says what a payment was for.  What is open, paid or in force is derived.
"""

from django.db import models
from django.db.models import Q

from stemma_portal.accounts.models import Organisation
from stemma_portal.core.fields import IdField
from stemma_portal.licensing.models import CovenantVersion, License


class Address(models.Model):
    """A legal entity as an invoice names it."""

    name = models.CharField(max_length=200)
    street = models.CharField(max_length=200)
    postcode = models.CharField(max_length=20)
    city = models.CharField(max_length=100)
    country = models.CharField(max_length=2)
    """ISO 3166."""
    vat_number = models.CharField(max_length=20, blank=True)
    """Checked for its form and check digits; with the prefix of its country."""
    email = models.EmailField()
    electronic_address = models.CharField(max_length=110, blank=True, default="", db_default="")
    """Where electronic invoices go or come from: `SCHEME:IDENTIFIER`, as Peppol has it."""

    class Meta:
        abstract = True

    def facts(self) -> dict[str, str]:
        """As quotes and invoices keep it."""
        names = ("name", "street", "postcode", "city", "country", "vat_number", "email", "electronic_address")
        return {name: getattr(self, name) for name in names}


class Seller(Address):
    """Who sells, and to which account it is paid; the newest row stands."""

    id = IdField()
    iban = models.CharField(max_length=34)
    bic = models.CharField(max_length=11, blank=True)
    contact = models.CharField(max_length=100, blank=True, default="", db_default="")
    """Whom buyers ask about invoices."""
    phone = models.CharField(max_length=50, blank=True, default="", db_default="")
    set_at = models.DateTimeField()
    set_by = models.CharField(max_length=254)

    class Meta:
        ordering = ["-set_at", "-id"]

    def __str__(self) -> str:
        return self.name

    def facts(self) -> dict[str, str]:
        """With its account, and whom to ask."""
        own = ("iban", "bic", "contact", "phone")
        return {**super().facts(), **{name: getattr(self, name) for name in own}}


class Buyer(Address):
    """Who buys for an organisation."""

    id = IdField()
    organisation = models.OneToOneField(Organisation, on_delete=models.PROTECT, related_name="buyer")
    reference = models.CharField(max_length=100, blank=True, default="", db_default="")
    """What its invoices name, such as the Leitweg-ID of an authority."""

    def __str__(self) -> str:
        return self.name

    def facts(self) -> dict[str, str]:
        """With its reference."""
        return {**super().facts(), "reference": self.reference}


class RateTable(models.Model):
    """A file of rates as it was imported; of each kind the newest stands."""

    class Kind(models.TextChoices):
        TAX = "tax", "Tax rates"
        EXCHANGE = "exchange", "Exchange rates"

    id = IdField()
    kind = models.CharField(max_length=8, choices=Kind)
    text = models.TextField()
    sha256 = models.CharField(max_length=64)
    imported_at = models.DateTimeField()
    imported_by = models.CharField(max_length=254)

    class Meta:
        ordering = ["-imported_at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:12]}"


class Quote(models.Model):
    """What a license would cost an organisation, and until when that holds."""

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="quotes")
    covenant = models.ForeignKey(CovenantVersion, on_delete=models.PROTECT, related_name="+")
    tier = models.CharField(max_length=16)
    months = models.PositiveSmallIntegerField()
    seats = models.PositiveIntegerField(default=0)
    renews = models.ForeignKey(License, on_delete=models.PROTECT, null=True, blank=True, related_name="renewals")
    """The license that it goes on with, under the terms that this one holds; none for a first license."""
    currency = models.CharField(max_length=3)
    net = models.BigIntegerField()
    tax = models.BigIntegerField()
    total = models.BigIntegerField()
    document = models.JSONField()
    """Buyer, seller, tax and lines, as they go into the invoice."""
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=254)
    valid_until = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.tier} for {self.months} months"


class Order(models.Model):
    """A quote that was accepted: once, whoever presses twice."""

    class State(models.TextChoices):
        PLACED = "placed", "Waits for payment"
        ACTIVE = "active", "Licensed"
        CANCELLED = "cancelled", "Cancelled"

    id = IdField()
    quote = models.OneToOneField(Quote, on_delete=models.PROTECT, related_name="order")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="orders")
    state = models.CharField(max_length=10, choices=State, default=State.PLACED)
    license = models.OneToOneField(License, on_delete=models.PROTECT, null=True, blank=True, related_name="order")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=254)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.quote} ({self.state})"


class Numbered(models.Model):
    """A document of a series that is numbered without gaps in each year."""

    id = IdField()
    series = models.CharField(max_length=4)
    year = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField()
    issued_at = models.DateTimeField()
    issued_by = models.CharField(max_length=254)
    currency = models.CharField(max_length=3)
    net = models.BigIntegerField()
    tax = models.BigIntegerField()
    total = models.BigIntegerField()

    class Meta:
        abstract = True

    @property
    def name(self) -> str:
        """The number as it is printed."""
        return f"{self.series}-{self.year}-{self.number:06d}"


class Invoice(Numbered):
    """What an organisation was asked to pay."""

    class Kind(models.TextChoices):
        ORDER = "order", "License"
        USAGE = "usage", "Usage"
        PREPAID = "prepaid", "Prepaid credit"

    key = models.CharField(max_length=200, unique=True)
    """What makes issuing it twice harmless."""
    kind = models.CharField(max_length=8, choices=Kind)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="invoices")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="invoices")
    license = models.ForeignKey(License, on_delete=models.PROTECT, null=True, blank=True, related_name="invoices")
    due_at = models.DateTimeField()
    rounding = models.BigIntegerField()
    reference = models.CharField(max_length=25, unique=True)
    """ISO 11649: what a payment names it by."""
    document = models.JSONField()
    """Buyer, seller and tax as they were."""

    class Meta:
        ordering = ["-issued_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["series", "year", "number"], name="billing_invoice_number"),
            models.CheckConstraint(
                condition=Q(total=models.F("net") + models.F("rounding") + models.F("tax")), name="billing_invoice_sum"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class InvoiceLine(models.Model):
    """One line of an invoice, and what it follows from."""

    id = IdField()
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    unit = models.CharField(max_length=8)
    title = models.CharField(max_length=200)
    quantity = models.BigIntegerField()
    """In parts of the unit: generated minutes are counted in milliseconds."""
    amount = models.BigIntegerField()
    """Before tax, to the micro-unit."""
    net = models.BigIntegerField()
    """In what a bank can move; lines sum to the invoice's net and rounding."""
    tax = models.BigIntegerField()
    trace = models.JSONField(default=dict)
    """How its facts are found again: license, until when, up to which object of the lake, count and hash."""

    class Meta:
        ordering = ["invoice", "position"]
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="billing_line_position")]

    def __str__(self) -> str:
        return self.title


class CreditNote(Numbered):
    """What is taken back of an invoice."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["-issued_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["series", "year", "number"], name="billing_credit_note_number"),
            models.CheckConstraint(
                condition=Q(total=models.F("net") + models.F("tax"), total__gt=0), name="billing_credit_note_sum"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BankStatement(models.Model):
    """A statement of our account, as it was imported."""

    id = IdField()
    account = models.CharField(max_length=34)
    statement = models.CharField(max_length=35)
    sha256 = models.CharField(max_length=64)
    entries = models.PositiveIntegerField()
    imported_at = models.DateTimeField()
    imported_by = models.CharField(max_length=254)

    class Meta:
        ordering = ["-imported_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["account", "statement"], name="billing_statement_once")]

    def __str__(self) -> str:
        return self.statement


class Payment(models.Model):
    """Money that came in: one entry of a statement, once, by the bank's reference in that statement."""

    class Reason(models.TextChoices):
        NONE = "", "Matched"
        NO_REFERENCE = "no-reference", "Names no invoice"
        UNKNOWN = "unknown-reference", "Names an invoice that is not there"
        CURRENCY = "currency", "Another currency"
        REPEATED = "repeated", "The bank's reference was on an earlier statement"
        DOUBLE = "double", "The invoice is settled already"
        PARTIAL = "partial", "Less than is open"
        OVER = "over", "More than is open"

    id = IdField()
    source = models.ForeignKey(BankStatement, on_delete=models.PROTECT, related_name="payments")
    servicer = models.CharField(max_length=35)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    booked_on = models.DateField()
    reference = models.CharField(max_length=25, blank=True)
    text = models.CharField(max_length=500, blank=True)
    debtor = models.CharField(max_length=140, blank=True)
    debtor_account = models.CharField(max_length=34, blank=True)
    reason = models.CharField(max_length=20, choices=Reason, blank=True)
    """Why it was not matched when it came."""

    class Meta:
        ordering = ["-booked_on", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "servicer"], name="billing_payment_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="billing_payment_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.servicer}: {self.amount} {self.currency}"


class Match(models.Model):
    """What a payment was for: an invoice, or nothing that we keep."""

    class Kind(models.TextChoices):
        EXACT = "exact", "Matched"
        ASSIGNED = "assigned", "Assigned by staff"
        RETURNED = "returned", "Sent back"

    id = IdField()
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, related_name="match")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, null=True, blank=True, related_name="matches")
    kind = models.CharField(max_length=10, choices=Kind)
    note = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=254)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="returned", invoice=None) | (~Q(kind="returned") & Q(invoice__isnull=False)),
                name="billing_match_invoice",
            )
        ]

    def __str__(self) -> str:
        return f"{self.payment}: {self.kind}"


class CreditEntry(models.Model):
    """Prepaid credit that was bought, drawn or taken back.  What is left is the sum; it is never negative."""

    class Kind(models.TextChoices):
        BOUGHT = "bought", "Bought"
        DRAWN = "drawn", "Used"
        RETURNED = "returned", "Taken back"

    id = IdField()
    purchase = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit")
    """The invoice by which it was bought."""
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="credit")
    currency = models.CharField(max_length=3)
    kind = models.CharField(max_length=8, choices=Kind)
    amount = models.BigIntegerField()
    """Before tax; negative where credit goes."""
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, null=True, blank=True, related_name="drawn")
    """The invoice of usage that it paid."""
    note = models.OneToOneField(CreditNote, on_delete=models.PROTECT, null=True, blank=True, related_name="returned")
    """The credit note by which it was taken back."""
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "id"]
        verbose_name_plural = "credit entries"
        constraints = [
            models.UniqueConstraint(fields=["purchase"], condition=Q(kind="bought"), name="billing_credit_bought_once"),
            models.UniqueConstraint(fields=["purchase", "invoice"], name="billing_credit_drawn_once"),
            models.CheckConstraint(
                condition=Q(kind="bought", amount__gt=0, invoice=None, note=None)
                | Q(kind="drawn", amount__lt=0, invoice__isnull=False, note=None)
                | Q(kind="returned", amount__lt=0, invoice=None, note__isnull=False),
                name="billing_credit_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class Refund(models.Model):
    """Money that goes back: a payment that is for nothing, or what was paid too much of an invoice.  By two people."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waits for a second person"
        SENT = "sent", "Sent back"
        DECLINED = "declined", "Declined"

    id = IdField()
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="refunds")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, null=True, blank=True, related_name="refunds")
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    account = models.CharField(max_length=34)
    """The IBAN that it goes to, where the bank told or somebody wrote one."""
    reason = models.CharField(max_length=500)
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=254)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True)
    decision = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-asked_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(payment=None, invoice__isnull=False) | Q(payment__isnull=False, invoice=None),
                name="billing_refund_of_one",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="billing_refund_positive"),
            models.CheckConstraint(condition=~Q(decided_by=models.F("asked_by")), name="billing_refund_two_people"),
            models.UniqueConstraint(
                fields=["payment"], condition=Q(state__in=["waiting", "sent"]), name="billing_refund_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}: {self.state}"


class Booking(models.Model):
    """That an invoice, a credit note, a payment, a match, a refund or an order was posted to the ledger."""

    document = IdField()
    """Its identifier."""
    at = models.DateTimeField()

    class Meta:
        ordering = ["at"]

    def __str__(self) -> str:
        return str(self.document)


class RevenueDeclaration(models.Model):
    """What an organisation says of a year's revenue."""

    class State(models.TextChoices):
        REVIEW = "review", "Staff look at it"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="declarations")
    entity = models.CharField(max_length=200)
    """The legal entity whose revenue it is."""
    group = models.CharField(max_length=200, blank=True)
    """The group it belongs to; revenue is then the whole group's."""
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    starts = models.DateField()
    ends = models.DateField()
    """Last day of the year that it is about."""
    short = models.CharField(max_length=200, blank=True)
    """Why that year is shorter than others; empty for a whole one."""
    converted = models.BigIntegerField(null=True)
    """In the currency in which the covenant counts revenue; null where no rate was known."""
    converted_currency = models.CharField(max_length=3)
    evidence_key = models.CharField(max_length=200, blank=True)
    evidence_name = models.CharField(max_length=200, blank=True)
    evidence_sha256 = models.CharField(max_length=64, blank=True)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=254)
    renew_on = models.DateField()
    """When the next one is due."""
    doubts = models.JSONField(default=list)
    """Why staff look at it."""
    state = models.CharField(max_length=10, choices=State)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True)
    decision = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-made_at", "-id"]

    def __str__(self) -> str:
        return f"{self.entity}: {self.ends.year}"


class Deadline(models.Model):
    """Until when a license that was outgrown, or whose terms were broken, is to be put right; and what became of it."""

    class Cause(models.TextChoices):
        GROWTH = "growth", "Outgrown"
        BREACH = "breach", "Terms broken"

    class State(models.TextChoices):
        RUNNING = "running", "Time to put it right"
        REVIEW = "review", "Staff decide"
        RIGHT = "right", "Put right"
        ENDED = "ended", "License ended"

    id = IdField()
    license = models.ForeignKey(License, on_delete=models.PROTECT, related_name="deadlines")
    cause = models.CharField(max_length=8, choices=Cause)
    covenant = models.ForeignKey(CovenantVersion, on_delete=models.PROTECT, related_name="+")
    """The terms by which there is so much time."""
    reason = models.CharField(max_length=1000)
    opened_at = models.DateTimeField()
    opened_by = models.CharField(max_length=254)
    until = models.DateField()
    """The last day on which everything goes on as before."""
    outputs = models.CharField(max_length=4)
    """What becomes of what was made before, where the license ends: it may `stay`, or its license ends too."""
    answer = models.CharField(max_length=1000, blank=True)
    """What the licensee says to it."""
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.CharField(max_length=254, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True)
    decision = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["license", "cause"], condition=Q(state__in=["running", "review"]), name="billing_deadline_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.license_id}: {self.cause} until {self.until}"


class SpendingLimit(models.Model):
    """What a license may cost a month: its owners are warned before, and serving stops there if they want it."""

    license = models.OneToOneField(License, on_delete=models.PROTECT, related_name="spending_limit", primary_key=True)
    amount = models.BigIntegerField()
    stops = models.BooleanField(default=False)
    """Whether nothing more is generated in the month once it is reached."""
    set_at = models.DateTimeField()
    set_by = models.CharField(max_length=254)

    def __str__(self) -> str:
        return f"{self.license_id}: {self.amount}"
