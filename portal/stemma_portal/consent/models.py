"""Grants, withdrawals and claims."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from stemma_portal.catalog.models import Party, Recording
from stemma_portal.core.fields import IdField


class Consent(models.Model):
    """A party's signed grant.  The database refuses to change or remove it."""

    id = IdField()
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="consents")
    document = models.TextField()
    """The grant as JWS (`stemma.rights.consent.Grant`)."""
    scopes = ArrayField(models.CharField(max_length=40))
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


class Claim(models.Model):
    """Somebody says that a recording is not whose it seems: it is held until that is resolved."""

    class State(models.TextChoices):
        OPEN = "open"
        RESOLVED = "resolved"

    id = IdField()
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="claims")
    claimant = models.CharField(max_length=200)
    """Name of whoever claims it."""
    claimant_party = models.ForeignKey(Party, on_delete=models.PROTECT, null=True, blank=True, related_name="claims")
    """The claimant as a rights-holder, where the catalog knows it."""
    reason = models.TextField()
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.TextField(blank=True)
    receipt = models.JSONField()
    """Of its opening."""

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["recording", "claimant"], condition=models.Q(state="open"), name="claim_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.claimant} on {self.recording_id}"
