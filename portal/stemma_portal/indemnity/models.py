"""Claims against outputs: what came in, what was said and done, the evidence, and the money set aside.

What a claim rests on is written once: the claim as it came, its papers, its events, its dossiers.  The
state beside it follows from the events; the database lets nothing else of a claim be changed.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from stemma.rights.covenant import USES
from stemma.rights.wording import MAY
from stemma_portal.accounts.models import Organisation
from stemma_portal.core.fields import IdField
from stemma_portal.core.models import Job
from stemma_portal.metering.models import Generation

OUTPUT_USES = [(use, MAY[use][:1].upper() + MAY[use][1:]) for use in USES]


class OutputClaim(models.Model):
    """Somebody says that an output is theirs, and the licensee who has it asks us to stand for it."""

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        IDENTIFIED = "identified", "Identified"
        UNKNOWN = "unknown", "No output of yours"
        READY = "evidence-ready", "Evidence ready"
        NEEDS_MORE = "needs-more", "Needs more"
        ACCEPTED = "accepted", "Accepted"
        DECLINED = "declined", "Declined"
        SETTLED = "settled", "Settled"
        CLOSED = "closed", "Closed"

    ENDED = (State.SETTLED, State.CLOSED)

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="output_claims")
    """The licensee."""
    claimant = models.CharField(max_length=200)
    """Who wrote the letter."""
    use = models.CharField(max_length=20, choices=OUTPUT_USES)
    """What the licensee did with the output."""
    story = models.TextField()
    """What happened, in the licensee's words."""
    file_sha256 = models.CharField(max_length=64)
    letter_sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    submitted_by = models.CharField(max_length=254)
    acknowledge_due = models.DateTimeField()
    dossier_due = models.DateTimeField()
    letter_due = models.DateTimeField(null=True, blank=True)
    """Until when the letter wants an answer; None: it says nothing."""
    receipt = models.JSONField()
    """Proof that the log holds what came in, and when."""

    state = models.CharField(max_length=16, choices=State, default=State.RECEIVED, db_index=True)
    round = models.PositiveSmallIntegerField(default=1)
    """How often it was looked for; the job and the dossier of each carry its number."""
    generation = models.ForeignKey(
        Generation, on_delete=models.PROTECT, null=True, blank=True, related_name="output_claims"
    )
    finding = models.JSONField(null=True, blank=True)
    """`stemma.provenance.dossier.Finding`: how it was found, and how sure that is."""
    altered = models.BooleanField(null=True, blank=True)
    """None: it may have been converted, no more; or nothing was found yet."""
    judged = models.JSONField(default=dict, blank=True)
    """What staff have said of exclusions that facts leave open: whether each applies."""
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    """When it was accepted or declined: the letter can be answered then."""
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    lost = models.PositiveSmallIntegerField(default=0)
    """Workers that its evidence has cost."""

    class Meta:
        ordering = ["-received_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "file_sha256", "letter_sha256"],
                condition=~Q(state__in=["settled", "closed"]),
                name="output_claim_pending_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.claimant} against {self.organisation_id}"

    @property
    def pending(self) -> bool:
        """Whether it is not over."""
        return self.state not in self.ENDED


class ClaimEvent(models.Model):
    """Something said or done in a claim.  The database refuses to change or remove it."""

    class Kind(models.TextChoices):
        RECEIVED = "received", "sent the claim"
        ACKNOWLEDGED = "acknowledged", "acknowledged it"
        FOUND = "found", "found the output"
        UNKNOWN = "not-found", "found no output of yours"
        READY = "ready", "put the evidence together"
        MESSAGE = "message", "wrote"
        NOTE = "note", "noted, for staff only"
        ASKED = "asked", "asked for more"
        ANSWERED = "answered", "answered"
        AGAIN = "again", "looks again"
        JUDGED = "judged", "judged what facts leave open"
        ACCEPTED = "accepted", "accepted the claim"
        DECLINED = "declined", "declined the claim"
        RESERVE = "reserve", "moved the reserve"
        REMINDED = "reminded", "reminded"
        SETTLED = "settled", "settled the claim"
        CLOSED = "closed", "closed the claim"
        STUCK = "stuck", "could not go on"

    STAFF_ONLY = (Kind.NOTE, Kind.RESERVE, Kind.REMINDED, Kind.STUCK)

    id = IdField()
    claim = models.ForeignKey(OutputClaim, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=Kind)
    speaker = models.CharField(max_length=200)
    """The name under which the others see them."""
    by = models.CharField(max_length=254, blank=True)
    """E-mail address of the account; empty: the portal itself."""
    text = models.TextField(blank=True)
    before = models.CharField(max_length=16, blank=True)
    after = models.CharField(max_length=16, blank=True)
    """States of the claim, where they changed."""
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} in {self.claim_id}"


class ClaimPaper(models.Model):
    """A file of a claim, by its content.  Never changed or removed."""

    class Kind(models.TextChoices):
        SOUND = "sound", "The sound"
        LETTER = "letter", "The letter"
        MORE = "more", "More"

    id = IdField()
    claim = models.ForeignKey(OutputClaim, on_delete=models.PROTECT, related_name="papers")
    at = models.DateTimeField()
    kind = models.CharField(max_length=8, choices=Kind)
    by = models.CharField(max_length=254)
    key = models.CharField(max_length=200)
    name = models.CharField(max_length=200)
    format = models.CharField(max_length=8)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.name


class ClaimDossier(models.Model):
    """A sealed dossier, as it was logged.  Never changed or removed."""

    id = IdField()
    claim = models.ForeignKey(OutputClaim, on_delete=models.PROTECT, related_name="dossiers")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    document = models.JSONField()
    """`stemma.provenance.dossier.Dossier`."""
    seal = models.TextField()
    receipt = models.JSONField()
    steps = models.JSONField()
    """What each proof came to: `[link, verdict, detail]`."""

    class Meta:
        ordering = ["claim", "-number"]
        constraints = [models.UniqueConstraint(fields=["claim", "number"], name="claim_dossier_once")]

    def __str__(self) -> str:
        return f"dossier {self.number} of {self.claim_id}"

    @property
    def key(self) -> str:
        """The archive in object storage; its report lies beside it."""
        return f"indemnity/{self.claim_id}/dossier-{self.number}.zip"

    @property
    def report_key(self) -> str:
        """The report in object storage."""
        return f"indemnity/{self.claim_id}/dossier-{self.number}.pdf"


class OutputPrint(models.Model):
    """What an output is found by, taken from its file once."""

    generation = models.OneToOneField(Generation, on_delete=models.CASCADE, primary_key=True, related_name="print")
    hashes = ArrayField(models.CharField(max_length=64), default=list)
    """Of every file of it that was handed out, and of its samples."""
    fingerprint = models.BinaryField(blank=True, default=b"")
    """Chromaprint; empty where the sound is too short or gone."""
    sketch = ArrayField(models.IntegerField(), default=list)
    duration_ms = models.PositiveBigIntegerField(default=0)

    class Meta:
        indexes = [
            GinIndex(fields=["hashes"], name="output_print_hashes"),
            GinIndex(fields=["sketch"], name="output_print_sketch"),
        ]

    def __str__(self) -> str:
        return f"print of {self.generation_id}"


class ReserveMove(models.Model):
    """Money of a claim that is set aside, given back, or paid.

    To set aside takes one person, to give back or pay takes two: the database refuses that one does both.
    What was asked for stays as it was; who decided about it is written once.
    """

    class Kind(models.TextChoices):
        RESERVE = "indemnify", "Set aside"
        RELEASE = "relieve", "Give back"
        PAYMENT = "settle", "Pay"

    id = IdField()
    claim = models.ForeignKey(OutputClaim, on_delete=models.PROTECT, related_name="moves")
    license = models.ForeignKey("licensing.License", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind)
    """The flow of the ledger that it is."""
    amount = models.BigIntegerField()
    """Micro-units."""
    currency = models.CharField(max_length=3)
    reason = models.TextField()
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=254)
    asked_id = models.UUIDField()
    """The account, whatever its address becomes."""
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True)
    decided_id = models.UUIDField(null=True, blank=True)
    approved = models.BooleanField(null=True, blank=True)
    posting = models.UUIDField(null=True, blank=True)

    class Meta:
        ordering = ["asked_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="reserve_move_positive"),
            models.CheckConstraint(
                condition=Q(kind="indemnify") | Q(decided_id=None) | ~Q(decided_id=F("asked_id")),
                name="reserve_move_two_people",
            ),
            models.CheckConstraint(
                condition=Q(approved=True, posting__isnull=False) | Q(posting=None) & ~Q(approved=True),
                name="reserve_move_posted_if_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} for {self.claim_id}"

    @property
    def waiting(self) -> bool:
        """Whether nobody has decided about it."""
        return self.decided_at is None
