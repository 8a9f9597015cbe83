"""Files of sound and score on their way to a recording."""

from django.db import models

from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.models import Asset, Recording
from stemma_portal.core.fields import IdField
from stemma_portal.intake.models import Import


class Upload(models.Model):
    """A file that somebody brings, from its first part until a recording has it."""

    class State(models.TextChoices):
        UPLOADING = "uploading"
        """Parts arrive in object storage; it can be gone on with for a week."""
        CHECKING = "checking"
        """It is whole, and a worker looks at it."""
        WAITING = "waiting"
        """Somebody has to say which recording it is, or that it is right as it is."""
        TAKEN = "taken"
        REFUSED = "refused"
        UNPACKED = "unpacked"
        """An archive: its files are uploads of their own."""
        CANCELLED = "cancelled"

    UNFINISHED = (State.UPLOADING, State.CHECKING, State.WAITING)

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="uploads")
    name = models.CharField(max_length=300)
    """As its sender called it, without its folder."""
    size = models.BigIntegerField()
    mark = models.CharField(max_length=100, blank=True)
    """By which the sender knows its own file again, such as when it was changed last: name, size and mark
    together find an upload that was begun."""
    key = models.CharField(max_length=200)
    """Where its bytes lie in object storage, as they came."""
    multipart = models.CharField(max_length=1000, blank=True)
    """What object storage calls the parts until they are joined."""
    part_size = models.PositiveIntegerField(default=0)
    archive = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="files")
    """The archive that it came in."""
    place = models.PositiveIntegerField(default=0)
    """Its place in there."""
    batch = models.OneToOneField(Import, on_delete=models.PROTECT, null=True, blank=True, related_name="sounds")
    """The imported ERN batch that it is: its files are those sounds that the messages name."""
    state = models.CharField(max_length=16, choices=State)
    format = models.CharField(max_length=16, blank=True)
    tags = models.JSONField(default=dict)
    """What its own tags say, by field of a record."""
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, null=True, blank=True, related_name="uploads")
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, null=True, blank=True, related_name="uploads")
    """Whose sound or score it is, or may be while it waits."""
    matched_by = models.CharField(max_length=16, blank=True)
    """`message`, `isrc`, `file`, `reference`, `title` or `person`."""
    findings = models.JSONField(default=list)
    """Each `[rule, severity, told, remedy]` (`stemma.music.probe.Finding`)."""
    message = models.TextField(blank=True)
    """Why it was refused, or what somebody has to say."""
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["organisation", "state", "-created_at"], name="upload_by_state"),
            models.Index(fields=["state", "updated_at"], name="upload_waiting"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "name", "size", "mark"],
                condition=models.Q(state="uploading"),
                name="upload_begun_once",
            ),
            models.UniqueConstraint(fields=["archive", "place"], name="upload_unpacked_once"),
        ]

    def __str__(self) -> str:
        return self.name
