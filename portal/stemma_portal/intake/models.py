"""Files that were brought, their rows, and what columns mean to an organisation."""

from django.db import models

from stemma_portal.accounts.models import Organisation
from stemma_portal.core.fields import IdField
from stemma_portal.core.models import Job


class Import(models.Model):
    """A file on its way into the catalog of an organisation."""

    class State(models.TextChoices):
        MAPPING = "mapping"
        """A table waits for somebody to say what its columns mean."""
        STAGING = "staging"
        STAGED = "staged"
        """Every row was read, checked and compared; somebody has to confirm."""
        IMPORTING = "importing"
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="imports")
    name = models.CharField(max_length=300)
    """As its sender called the file."""
    key = models.CharField(max_length=200)
    """The bytes as they came, in object storage."""
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    format = models.CharField(max_length=8)
    headings = models.JSONField(default=list)
    sample = models.JSONField(default=list)
    note = models.CharField(max_length=300, blank=True)
    mapping = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State)
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """The work that goes on or went last."""
    counts = models.JSONField(default=dict)
    """Rows by verdict, with `rows`, `errors`, `warnings`."""
    message = models.TextField(blank=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=254, blank=True)
    """Who has it taken into the catalog: the work is done in their name, whoever brought the file."""
    lost = models.PositiveSmallIntegerField(default=0)
    """How many workers were lost over what goes on now."""
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name


class ImportRow(models.Model):
    """One row of a file, as it was read and judged."""

    class Verdict(models.TextChoices):
        REJECTED = "rejected"
        NEW = "new"
        CHANGED = "changed"
        SAME = "same"
        CONFLICTING = "conflicting"
        """Another organisation has this ISRC: it is taken, a claim is opened, and both are held."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField()
    """Line or ordinal in the file."""
    raw = models.JSONField(null=True)
    """What was read, of rows that are to be corrected."""
    problems = models.JSONField(default=list)
    """Each `[field, value, rule, remedy, severity]`."""
    record = models.JSONField(null=True)
    """`stemma.catalog.record.RecordingRecord` without what is empty; none for rows with errors."""
    record_sha256 = models.CharField(max_length=64, blank=True)
    isrc = models.CharField(max_length=12, blank=True)
    reference = models.CharField(max_length=100, blank=True)
    verdict = models.CharField(max_length=12, choices=Verdict, blank=True)
    recording = models.UUIDField(null=True)
    """The organisation's own recording that it speaks of, once there is one."""
    resource = models.TextField(blank=True)
    """The name of its sound in the batch that the file is."""
    done = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="import_row_once")]
        indexes = [models.Index(fields=["batch", "verdict", "number"], name="import_row_by_verdict")]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.number}"


class ColumnMapping(models.Model):
    """What the columns of a table mean to an organisation: remembered for the next file with the same ones."""

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="column_mappings")
    headings_sha256 = models.CharField(max_length=64)
    mapping = models.JSONField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "headings_sha256"], name="column_mapping_once")]

    def __str__(self) -> str:
        return f"{self.organisation_id} {self.headings_sha256[:8]}"
