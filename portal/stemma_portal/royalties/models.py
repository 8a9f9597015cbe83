"""Money: accounts, postings, periods and statements.

What holds at every moment, and who sees to it:

- A posting moves a positive whole number of micro-units of one currency from one account (credit) to
  another (debit), so debits and credits balance by construction.  PostgreSQL refuses to change or
  remove one; a mistake is mended by a reversal that names it.
- Balanced is not yet valid: only the flows of `flows.FLOWS` exist.
- An identifier is made by whoever posts.  The same posting again changes nothing; another one under
  the same identifier is an error.
- `Account.debits` and `Account.credits` are a checkpoint of the postings, advanced in the transaction
  that posts and nowhere else.
- A closed period takes no posting and is never changed: PostgreSQL refuses both.  Its document holds
  the hash of everything in it and of the document before it, and is in the transparency log.

`services.ledger_verify` finds every one of these again from the postings and the facts.
"""

from django.db import models

from stemma_portal.core.fields import IdField


class Account(models.Model):
    """A place where money is counted.  See `flows` for what each kind means."""

    class Kind(models.TextChoices):
        RECEIVABLE = "receivable"
        REVENUE = "revenue"
        POOL = "pool"
        RESERVE = "reserve"
        PAYABLE = "payable"
        HOLD = "hold"
        BILLED = "billed"
        DEFERRED = "deferred"
        PREPAID = "prepaid"
        TAX = "tax"
        CASH = "cash"
        CLEARING = "clearing"
        INDEMNITY = "indemnity"
        SETTLEMENT = "settlement"

    id = IdField()
    code = models.CharField(max_length=120, unique=True)
    """Such as `payable:<party>:USD`."""
    kind = models.CharField(max_length=12, choices=Kind)
    party = models.ForeignKey("catalog.Party", on_delete=models.PROTECT, null=True, blank=True, related_name="accounts")
    license = models.ForeignKey(
        "licensing.License", on_delete=models.PROTECT, null=True, blank=True, related_name="accounts"
    )
    organisation = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="accounts"
    )
    """For what is invoiced and paid: the licensee."""
    recording = models.ForeignKey(
        "catalog.Recording", on_delete=models.PROTECT, null=True, blank=True, related_name="accounts"
    )
    """For money on hold: what earned it."""
    side = models.CharField(max_length=10, blank=True)
    """For money on hold: the right that earned it."""
    currency = models.CharField(max_length=3)
    debits = models.BigIntegerField(default=0)
    credits = models.BigIntegerField(default=0)
    postings = models.BigIntegerField(default=0)
    """How many postings touch it: part of the checkpoint."""

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=models.Q(debits__gte=0, credits__gte=0), name="account_sums"),
            models.UniqueConstraint(
                fields=["kind", "party", "license", "organisation", "recording", "side", "currency"],
                name="account_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def balance(self) -> int:
        """Micro-units: what is owed to the party (payable), by the licensee (receivable, billed), there or kept."""
        owed = self.credits - self.debits
        return -owed if self.kind in {self.Kind.RECEIVABLE, self.Kind.BILLED, self.Kind.CASH} else owed


class Period(models.Model):
    """A stretch of time that is settled at once, in one currency.  Periods follow one another without a gap."""

    class State(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"

    id = models.CharField(primary_key=True, max_length=40)
    """Such as `2026-11`."""
    currency = models.CharField(max_length=3)
    starts = models.DateTimeField()
    ends = models.DateTimeField()
    """The first moment that is no longer in it."""
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField(auto_now_add=True)
    opened_by = models.CharField(max_length=254)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=254, blank=True)
    document = models.JSONField(default=dict)
    """What was logged: totals, the hash of all postings and statements, the digest of the period before."""
    digest = models.CharField(max_length=64, blank=True)
    """SHA-256 of the document's canonical form."""
    receipt = models.JSONField(default=dict)

    class Meta:
        ordering = ["-starts", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(starts__lt=models.F("ends")), name="period_runs_forward"),
            models.UniqueConstraint(fields=["currency", "starts"], name="period_starts_once"),
            models.UniqueConstraint(fields=["currency"], condition=models.Q(state="open"), name="period_one_open"),
        ]

    def __str__(self) -> str:
        return self.id


class Posting(models.Model):
    """One debit, one credit, one positive amount.  Append-only."""

    id = IdField()
    kind = models.CharField(max_length=12)
    """The flow it is one of, see `flows`."""
    debit = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="debited")
    credit = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credited")
    amount = models.BigIntegerField()
    """Micro-units."""
    currency = models.CharField(max_length=3)
    period = models.ForeignKey(Period, on_delete=models.PROTECT, related_name="postings")
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversal")
    reference = models.CharField(max_length=300)
    """What it is for, in words a person understands."""
    occurred_at = models.DateTimeField()
    """When what it tells of took place; `booked_at` is when it was written down."""
    booked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["booked_at", "id"]
        indexes = [models.Index(fields=["period", "kind"], name="posting_period_kind")]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="posting_positive"),
            models.CheckConstraint(condition=~models.Q(debit=models.F("credit")), name="posting_two_accounts"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class Settled(models.Model):
    """Which period settled a generation: each is settled once, by the first period that closes after it."""

    class Basis(models.TextChoices):
        ATTRIBUTION = "attribution"
        COMMONS = "commons"

    generation = models.OneToOneField(
        "metering.Generation", on_delete=models.PROTECT, primary_key=True, related_name="settled"
    )
    period = models.ForeignKey(Period, on_delete=models.PROTECT, related_name="settled")
    basis = models.CharField(max_length=12, choices=Basis)
    """`commons` where no attribution came for a whole period: then every trained work shares equally."""
    late = models.BooleanField()
    """Whether it was made before the period began and told of after the one before had closed."""

    class Meta:
        verbose_name_plural = "settled"

    def __str__(self) -> str:
        return f"{self.generation_id} in {self.period_id}"


class Statement(models.Model):
    """What a party earned in a period, and what it is owed.  Append-only.  All amounts in micro-units."""

    id = IdField()
    period = models.ForeignKey(Period, on_delete=models.PROTECT, related_name="statements")
    party = models.ForeignKey("catalog.Party", on_delete=models.PROTECT, related_name="statements")
    currency = models.CharField(max_length=3)
    opening = models.BigIntegerField()
    earned = models.BigIntegerField()
    corrected = models.BigIntegerField(default=0)
    """Reversals and what was posted in their stead; may be negative."""
    held = models.BigIntegerField(default=0)
    """Put on hold because of claims (negative), or released (positive)."""
    closing = models.BigIntegerField()
    lines_count = models.PositiveIntegerField()
    csv_key = models.CharField(max_length=200)
    csv_sha256 = models.CharField(max_length=64)
    pdf_key = models.CharField(max_length=200)
    pdf_sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["-period__starts", "party__name"]
        constraints = [
            models.UniqueConstraint(fields=["period", "party"], name="statement_once"),
            models.CheckConstraint(
                condition=models.Q(
                    closing=models.F("opening") + models.F("earned") + models.F("corrected") + models.F("held")
                ),
                name="statement_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party} in {self.period_id}"


class StatementLine(models.Model):
    """What one recording earned a party on one side by one rule, or what was held of it; or a correction.

    Append-only.
    """

    class Kind(models.TextChoices):
        TRAINING = "training", "Trained on"
        ATTRIBUTION = "attribution", "Shaped an output"
        COMMONS = "commons", "Commons"
        CORRECTION = "correction", "Correction"
        HOLD = "hold", "Put on hold"
        RELEASE = "release", "Released"

    id = models.BigAutoField(primary_key=True)
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    recording = models.ForeignKey(
        "catalog.Recording", on_delete=models.PROTECT, null=True, blank=True, related_name="statement_lines"
    )
    """Null for corrections."""
    side = models.CharField(max_length=10, blank=True)
    kind = models.CharField(max_length=12, choices=Kind)
    note = models.CharField(max_length=300, blank=True)
    """Why, for corrections."""
    uses = models.BigIntegerField()
    """Generations that counted into it."""
    amount = models.BigIntegerField()

    class Meta:
        ordering = ["-amount", "id"]
        constraints = [
            models.UniqueConstraint(fields=["statement", "recording", "side", "kind"], name="statement_line_once")
        ]

    def __str__(self) -> str:
        return f"{self.amount} for {self.recording_id}"


class Estimate(models.Model):
    """What a party would get if the open period closed now.  Derived, replaced as facts come; never money owed."""

    id = models.BigAutoField(primary_key=True)
    period = models.ForeignKey(Period, on_delete=models.CASCADE, related_name="estimates")
    party = models.ForeignKey("catalog.Party", on_delete=models.CASCADE, related_name="estimates")
    amount = models.BigIntegerField()
    held = models.BigIntegerField(default=0)
    """How much of it would be put on hold, because its recordings are under claim."""
    uses = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["period", "party"], name="estimate_once")]

    def __str__(self) -> str:
        return f"{self.amount} in {self.period_id}"


class ClaimHold(models.Model):
    """That unpaid money of a claim's recordings was set aside when the claim came: once per currency.  Append-only."""

    id = IdField()
    claim = models.ForeignKey("consent.Claim", on_delete=models.PROTECT, related_name="holds_taken")
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["claim", "currency"], name="claim_hold_once")]

    def __str__(self) -> str:
        return f"{self.amount} for {self.claim_id}"


class PayoutMinimum(models.Model):
    """From which balance on a currency is paid out.  Append-only; the newest that has begun counts."""

    id = IdField()
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()
    """Micro-units."""
    valid_from = models.DateTimeField()
    by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["currency", "-valid_from"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="payout_minimum_positive"),
            models.UniqueConstraint(fields=["currency", "valid_from"], name="payout_minimum_once"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class PaymentDetails(models.Model):
    """Where a party's money is to go, as one of its owners said.  Append-only: a change is the next version."""

    id = IdField()
    party = models.ForeignKey("catalog.Party", on_delete=models.PROTECT, related_name="payment_details")
    version = models.PositiveIntegerField()
    sealed = models.BinaryField()
    """Holder, IBAN, BIC, address and tax number, encrypted (`core.sealing`)."""
    last4 = models.CharField(max_length=4)
    """The end of the IBAN: the only part of it that anybody is shown."""
    country = models.CharField(max_length=2)
    """Of the account."""
    tax_country = models.CharField(max_length=2)
    at = models.DateTimeField()
    by = models.CharField(max_length=254)
    usable_from = models.DateTimeField()
    """No payout goes there before: time to notice a change that nobody wanted."""

    class Meta:
        ordering = ["party", "-version"]
        verbose_name_plural = "payment details"
        constraints = [models.UniqueConstraint(fields=["party", "version"], name="payment_details_once")]

    def __str__(self) -> str:
        return f"…{self.last4} of {self.party_id}"
