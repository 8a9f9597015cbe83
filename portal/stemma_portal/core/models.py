"""The transparency log, the audit trail, and long work."""

from django.db import models

from stemma.ids import timestamp
from stemma.proof.log import WITHHELD, Entry, Listed
from stemma_portal.core.fields import IdField


class LogEntry(models.Model):
    """One fact in the transparency log.  The database refuses to change or remove it."""

    id = IdField()
    position = models.BigIntegerField(unique=True)
    """Its index in the tree, from 0 without gaps."""
    kind = models.CharField(max_length=16)
    subject = models.CharField(max_length=200)
    at = models.DateTimeField()
    digest = models.CharField(max_length=64)
    leaf = models.BinaryField(max_length=32)
    root = models.BinaryField(max_length=32)
    """Root of the tree that ends with this entry: whoever holds a tree in memory checks it against this."""

    class Meta:
        ordering = ["position"]
        verbose_name_plural = "log entries"
        # No more than what is asked for: each index is written for every output that is made.
        indexes = [models.Index(fields=["kind", "position"], name="logentry_kind_position")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    def entry(self) -> Entry:
        """The entry as receipts carry it."""
        return Entry(id=self.id, kind=self.kind, subject=self.subject, at=timestamp(self.at), digest=self.digest)

    @property
    def told(self) -> bool:
        """Whether the list of the log tells more of it than its leaf hash."""
        return self.kind not in WITHHELD

    def listed(self) -> Listed:
        """The entry as the list of the log gives it to anyone."""
        entry = self.entry() if self.told else None
        return Listed(index=self.position, kind=self.kind, leaf=bytes(self.leaf).hex(), entry=entry)


class AuditEvent(models.Model):
    """Who did what, and when.  The database refuses to change or remove it."""

    id = IdField()
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=254)
    """E-mail address of the account, or `system`."""
    actor_id = models.CharField(max_length=36, blank=True)
    action = models.CharField(max_length=64, db_index=True)
    """Such as `consent.grant`."""
    subject = models.CharField(max_length=200, db_index=True)
    """Identifier of what it was done to."""
    detail = models.JSONField(default=dict)
    """What else is known; `before` and `after` where something became another."""
    channel = models.CharField(max_length=16, default="command")
    """`page`, `api`, `task` or `command`."""
    address = models.GenericIPAddressField(null=True, blank=True)
    """Where the request came from."""
    agent = models.CharField(max_length=200, blank=True)
    """The program that sent it, or the name of the task."""
    request = models.CharField(max_length=64, blank=True)
    """The one request or task in which it was done: the answer carried it as `X-Request-Id`."""

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject}"


class Job(models.Model):
    """Long work: how far it is, what it says, and whether somebody wants it to stop."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = IdField()
    kind = models.CharField(max_length=64, db_index=True)
    run_key = models.CharField(max_length=200, unique=True)
    """What makes a repeat harmless: the same key is the same job."""
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    progress = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    """Steps in all; 0 while unknown."""
    message = models.TextField(blank=True)
    log = models.TextField(blank=True)
    cancel_requested = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
