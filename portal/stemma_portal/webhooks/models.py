"""Where an organisation wants to be told, what it was told, and how each telling went."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from stemma_portal.accounts.models import Organisation
from stemma_portal.core.fields import IdField


class Endpoint(models.Model):
    """An address of an organisation that takes events."""

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="webhooks")
    url = models.URLField(max_length=500)
    events = ArrayField(models.CharField(max_length=64), default=list)
    """Kinds of event it wants; none: all of them."""
    active = models.BooleanField(default=True)
    disabled_because = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.url


class Secret(models.Model):
    """What an endpoint's calls are signed with: an Ed25519 key, and a symmetric one for receivers that know no other.

    While an endpoint's keys are rotated two of them sign, so that the receiver can change over in peace.
    """

    id = IdField()
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="secrets")
    sealed = models.BinaryField()
    """Both keys, encrypted with the installation's secret key."""
    public = models.CharField(max_length=60)
    """`whpk_` and the Ed25519 public key."""
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    """When it stops signing; none while it is the current one."""

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.public


class Event(models.Model):
    """Something that happened to an organisation.  Never changed or removed."""

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="events")
    type = models.CharField(max_length=64)
    """Such as `import.finished`."""
    at = models.DateTimeField()
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class Delivery(models.Model):
    """The telling of one event to one endpoint, over all its tries."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = IdField()
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="deliveries")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True, db_index=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    """HTTP status of the last answer, where there was one."""
    told = models.CharField(max_length=300, blank=True)
    """What the last try came to, in words."""
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["endpoint", "event"], name="delivery_once")]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint_id}"
