"""Snapshots and model releases."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from stemma_portal.catalog.models import Recording
from stemma_portal.core.fields import IdField
from stemma_portal.licensing.models import CovenantVersion, License


class Snapshot(models.Model):
    """A frozen set of recordings; its manifest lies in object storage and its root in the log."""

    class Include(models.TextChoices):
        ELIGIBLE = "eligible"
        ALL = "all"

    id = IdField()
    name = models.CharField(max_length=100)
    include = models.CharField(max_length=16, choices=Include)
    root = models.CharField(max_length=64)
    recordings = models.PositiveIntegerField()
    """How many it holds."""
    scopes = ArrayField(models.CharField(max_length=40))
    territory = models.CharField(max_length=5)
    family = models.CharField(max_length=16, blank=True)
    """The kind of model it is meant for; empty: those from before kinds were told apart."""
    covenant = models.CharField(max_length=64)
    manifest_key = models.CharField(max_length=200)
    receipt = models.JSONField()
    diversity = models.JSONField(null=True, blank=True)
    """`stemma.rights.diversity.Diversity` of its recordings as they were; None: taken before it was counted.
    The database refuses to change it, and the hash beneath."""
    unreadable = models.PositiveIntegerField(default=0, db_default=0)
    """How many more were granted for it, from which no model of its family can learn."""
    facts_sha256 = models.CharField(max_length=64, blank=True, db_default="")
    """Of `facts.json`, which lies beside the manifest (`stemma.rights.facts.SnapshotFacts`)."""
    created_at = models.DateTimeField()
    created_by = models.EmailField(blank=True)
    published = models.BooleanField(default=False)
    """Whether object storage holds the receipt beside the manifest."""
    members = models.ManyToManyField(Recording, through="SnapshotMember", related_name="snapshots")

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class SnapshotMember(models.Model):
    """A recording in a snapshot."""

    id = models.BigAutoField(primary_key=True)
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="items")
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="snapshot_items")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["snapshot", "recording"], name="snapshot_recording_once")]

    def __str__(self) -> str:
        return f"{self.snapshot_id} {self.recording_id}"


class ModelRelease(models.Model):
    """A published model, with the statement that its maker signed."""

    class State(models.TextChoices):
        REGISTERED = "registered"
        RETIRED = "retired"

    id = models.CharField(max_length=100, primary_key=True)
    """`name/version`, such as `house-symbolic/1`."""
    name = models.CharField(max_length=60)
    version = models.CharField(max_length=40)
    run_id = models.CharField(max_length=64)
    """The MLflow run that made it."""
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="releases")
    statement = models.TextField()
    """JWS of type `stemma-release+jws`."""
    receipt = models.JSONField()
    metrics = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State, default=State.REGISTERED)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.id


class WeightsDownload(models.Model):
    """That somebody was given the address of a file of a release.  The database refuses to change or remove it."""

    id = IdField()
    release = models.ForeignKey(ModelRelease, on_delete=models.PROTECT, related_name="downloads")
    file = models.CharField(max_length=300)
    """Its path in the bundle."""
    license = models.ForeignKey(License, on_delete=models.PROTECT, related_name="downloads")
    covenant = models.ForeignKey(CovenantVersion, on_delete=models.PROTECT, related_name="+")
    """The terms that held for the license then."""
    by = models.EmailField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.release_id}: {self.file}"
