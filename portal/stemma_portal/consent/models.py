"""Grants, withdrawals and claims."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from stemma.rights.consent import Condition, GrantedRelease
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.consent.reservation_models import DomainReading, Reservation, Settlement
from stemma_portal.core.fields import IdField

__all__ = [
    "Claim",
    "ClaimEvent",
    "ClaimEvidence",
    "ClaimParty",
    "Consent",
    "ConsentRecording",
    "DomainReading",
    "Reservation",
    "Ruling",
    "Settlement",
    "Withdrawal",
]


class Consent(models.Model):
    """A party's signed grant.  The database refuses to change or remove it."""

    id = IdField()
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="consents")
    document = models.TextField()
    """The grant as JWS (`stemma.rights.consent.Grant`)."""
    scopes = ArrayField(models.CharField(max_length=40))
    conditions = models.JSONField(default=dict)
    """Conditions of scopes that are granted only under one (`stemma.rights.consent.Condition`)."""
    releases = models.JSONField(default=list, db_default=[])
    """Releases that it names (`stemma.rights.consent.GrantedRelease`)."""
    territory = models.CharField(max_length=5)
    covenant = models.CharField(max_length=64)
    """SHA-256 of the covenant under which it was granted."""
    granted_at = models.DateTimeField()
    valid_until = models.DateTimeField(null=True, blank=True)
    signed_by = models.EmailField()
    receipt = models.JSONField()
    """`stemma.proof.log.Receipt`."""
    recordings = models.ManyToManyField(Recording, through="ConsentRecording", related_name="consents")

    class Meta:
        ordering = ["-granted_at", "-id"]

    def __str__(self) -> str:
        return f"{self.party} on {self.granted_at:%Y-%m-%d}"

    def released(self) -> list[str]:
        """Each release that it names, in words."""
        return [GrantedRelease.model_validate(each).told() for each in self.releases]

    def told(self) -> list[tuple[str, list[str]]]:
        """Each scope with its conditions in words."""
        return [
            (scope, Condition.model_validate(self.conditions[scope]).told() if scope in self.conditions else [])
            for scope in self.scopes
        ]


class ConsentRecording(models.Model):
    """A recording that a grant names."""

    id = models.BigAutoField(primary_key=True)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="items")
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="consent_items")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["consent", "recording"], name="consent_recording_once")]

    def __str__(self) -> str:
        return f"{self.consent_id} {self.recording_id}"


class Withdrawal(models.Model):
    """The end of a grant, for one recording or for all of it.  It is never changed either."""

    id = IdField()
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="withdrawals")
    recording = models.ForeignKey(
        Recording, on_delete=models.PROTECT, null=True, blank=True, related_name="withdrawals"
    )
    """None: the whole grant."""
    at = models.DateTimeField()
    signed_by = models.EmailField()
    receipt = models.JSONField()

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(fields=["consent", "recording"], name="withdrawal_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.consent_id} {self.recording_id or 'whole'}"


class ClaimRows(models.QuerySet["Claim"]):
    """Claims, by how far they are."""

    def pending(self) -> "ClaimRows":
        """Those that are not over."""
        return self.filter(state__in=Claim.PENDING)

    def holding(self) -> "ClaimRows":
        """Those that keep recordings out of snapshots and their money on hold."""
        return self.pending().filter(kind__in=Claim.HOLDING)


class Claim(models.Model):
    """A case: somebody says that a recording, a share or a statement is not right.

    But for corrections, what it is about is held until it is resolved.  `cases` is its only writer.
    """

    class Kind(models.TextChoices):
        OVER_CLAIM = "over-claim", "Shares above the whole"
        SAME_IDENTIFIER = "same-identifier", "One identifier, two organisations"
        AUTHORSHIP = "authorship", "Disputed authorship"
        SHARE = "share", "Disputed share"
        CORRECTION = "correction", "Correction of a statement"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ANSWERED = "answered", "Answered"
        REVIEW = "under-review", "Under review"
        RESOLVED = "resolved", "Resolved"
        WITHDRAWN = "withdrawn", "Withdrawn"
        LAPSED = "lapsed", "Lapsed"

    class Side(models.TextChoices):
        CLAIMANT = "claimant", "Claimant"
        OWNERS = "owners", "Owners"
        STAFF = "staff", "Rights staff"

    class Outcome(models.TextChoices):
        AS_THEY_ARE = "as-they-are", "Everything stays as it is"
        SHARES = "shares", "The shares are changed"
        TAKEN_DOWN = "taken-down", "One of the two recordings is taken down"
        SAME = "same", "Both are one and the same, and stay"
        CORRECTED = "corrected", "The statement is corrected"
        EXPLAINED = "explained", "The statement is right, and here is why"

    PENDING = (State.OPEN, State.ANSWERED, State.REVIEW)
    HOLDING = (Kind.OVER_CLAIM, Kind.SAME_IDENTIFIER, Kind.AUTHORSHIP, Kind.SHARE)

    id = IdField()
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.AUTHORSHIP)
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="claims")
    other = models.ForeignKey(Recording, on_delete=models.PROTECT, null=True, blank=True, related_name="claims_beside")
    """The second recording, where two are at odds; it is held too."""
    claimant = models.CharField(max_length=200)
    """Name of whoever claims it."""
    claimant_party = models.ForeignKey(Party, on_delete=models.PROTECT, null=True, blank=True, related_name="claims")
    """The claimant as a rights-holder, where the catalog knows it."""
    claimant_organisation = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="claims"
    )
    """The organisation whose member opened it for itself."""
    reason = models.TextField()
    subject = models.CharField(max_length=64, blank=True)
    """What within the recording it is about: for a correction, the identifier of the statement."""
    detail = models.JSONField(default=dict, blank=True)
    """What was asserted, or the line of the statement as it was."""
    state = models.CharField(max_length=16, choices=State, default=State.OPEN, db_index=True)
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    """Until when the side whose turn it is has time."""
    due_side = models.CharField(max_length=10, choices=Side, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    """When it ended, however it did."""
    outcome = models.CharField(max_length=16, choices=Outcome, blank=True)
    resolution = models.TextField(blank=True)
    """Why."""
    receipt = models.JSONField()
    """Of its opening."""

    objects = ClaimRows.as_manager()

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["recording", "claimant", "kind", "subject"],
                condition=models.Q(state__in=["open", "answered", "under-review"]),
                name="claim_pending_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.claimant} on {self.recording_id}"

    @property
    def pending(self) -> bool:
        """Whether it is not over."""
        return self.state in self.PENDING

    @property
    def holds(self) -> bool:
        """Whether it keeps its recordings out of snapshots and their money on hold."""
        return self.pending and self.kind in self.HOLDING


class ClaimParty(models.Model):
    """A rights-holder whom a case concerns: it sees the case and may speak in it."""

    id = models.BigAutoField(primary_key=True)
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="parties")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="cases")
    side = models.CharField(max_length=10, choices=Claim.Side)

    class Meta:
        verbose_name_plural = "claim parties"
        constraints = [models.UniqueConstraint(fields=["claim", "party"], name="claim_party_once")]

    def __str__(self) -> str:
        return f"{self.party_id} in {self.claim_id}"


class ClaimEvent(models.Model):
    """Something said or done in a case.  The database refuses to change or remove it."""

    class Kind(models.TextChoices):
        OPENED = "opened", "opened the case"
        MESSAGE = "message", "wrote"
        ANSWER = "answer", "answered"
        NOTE = "note", "noted, for staff only"
        EVIDENCE = "evidence", "brought evidence"
        REVIEW = "review", "took it under review"
        EXTENDED = "extended", "gave more time"
        REMINDED = "reminded", "reminded"
        RESOLVED = "resolved", "resolved the case"
        WITHDRAWN = "withdrawn", "withdrew the claim"
        LAPSED = "lapsed", "let the claim lapse"

    id = IdField()
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=Kind)
    side = models.CharField(max_length=10, choices=Claim.Side, blank=True)
    """Empty: the portal itself."""
    speaker = models.CharField(max_length=200)
    """The name under which the others see them."""
    by = models.CharField(max_length=254, blank=True)
    """E-mail address of the account; shown to nobody but staff."""
    text = models.TextField(blank=True)
    before = models.CharField(max_length=16, blank=True)
    after = models.CharField(max_length=16, blank=True)
    """States of the case, where they changed."""
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} in {self.claim_id}"


class ClaimEvidence(models.Model):
    """A file, a text or an address that speaks for one side.  Never changed or removed."""

    id = IdField()
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="evidence")
    at = models.DateTimeField()
    side = models.CharField(max_length=10, choices=Claim.Side)
    speaker = models.CharField(max_length=200)
    by = models.CharField(max_length=254)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    link = models.URLField(max_length=500, blank=True)
    """An address that supports it, such as of a registration."""
    key = models.CharField(max_length=200, blank=True)
    """The file in object storage."""
    name = models.CharField(max_length=200, blank=True)
    format = models.CharField(max_length=8, blank=True)
    """By its content."""
    size = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["at", "id"]
        verbose_name_plural = "claim evidence"

    def __str__(self) -> str:
        return self.title


class Ruling(models.Model):
    """Whose a recording's money is, as a case has decided: it overrides the shares of snapshots taken before.

    Never changed or removed; a later ruling on the same recording stands above it.
    """

    id = IdField()
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="rulings")
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="rulings")
    shares = models.JSONField()
    """Each `{party, side, ppm, territory}`; every side of every territory sums to one million."""
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "id"]
        constraints = [models.UniqueConstraint(fields=["claim", "recording"], name="ruling_once")]

    def __str__(self) -> str:
        return f"{self.claim_id} on {self.recording_id}"
