"""Generations and who shaped them, as the facts in object storage tell of them.

The facts are the truth and lie in the lake; these rows are what pages and periods read of them.
A usage fact and its attribution come in any order and from different days, so the rows that name
one another do so without a constraint: a share may be here before the generation it belongs to.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from stemma_portal.core.fields import IdField


class FactObject(models.Model):
    """A Parquet object of the lake that was looked at, so that it is never counted twice."""

    class Kind(models.TextChoices):
        USAGE = "usage"
        ATTRIBUTION = "attribution"
        CERTIFICATE = "certificates"

    class State(models.TextChoices):
        TAKEN = "taken"
        QUARANTINED = "quarantined"

    position = models.BigAutoField(primary_key=True)
    """Order of ingestion: of two facts with one identifier, the one that came first stands."""
    key = models.CharField(max_length=300, unique=True)
    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=12, choices=State)
    sha256 = models.CharField(max_length=64)
    """Hash of its bytes when it was taken: an object changed since is found out."""
    rows = models.PositiveIntegerField(default=0)
    taken = models.PositiveIntegerField(default=0)
    """Facts that were new."""
    repeated = models.PositiveIntegerField(default=0)
    """Facts that were known already, word for word."""
    conflicts = models.PositiveIntegerField(default=0)
    reason = models.TextField(blank=True)
    """Why it was quarantined."""
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position"]
        indexes = [models.Index(fields=["state", "kind", "position"], name="fact_object_order")]

    def __str__(self) -> str:
        return self.key


class Generation(models.Model):
    """One generation, as it is billed; its identifier is that of its usage fact."""

    id = IdField()
    at = models.DateTimeField()
    license = models.ForeignKey(
        "licensing.License", on_delete=models.DO_NOTHING, db_constraint=False, related_name="generations"
    )
    licensee = models.ForeignKey(
        "accounts.Organisation", on_delete=models.DO_NOTHING, db_constraint=False, related_name="generations"
    )
    key = models.CharField(max_length=100)
    """Identifier of the API key it was asked for with."""
    tier = models.CharField(max_length=20)
    covenant = models.CharField(max_length=64)
    model_release = models.CharField(max_length=200)
    snapshot = models.CharField(max_length=100)
    style = models.CharField(max_length=40)
    prompt_sha256 = models.CharField(max_length=64)
    seed = models.BigIntegerField()
    billable_ms = models.BigIntegerField()
    audio_sha256 = models.CharField(max_length=64)
    midi_sha256 = models.CharField(max_length=64)
    source = models.ForeignKey(FactObject, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    """SHA-256 of the fact's canonical form: the same identifier with another body is a conflict."""

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["license", "at"], name="generation_license_at"),
            models.Index(fields=["licensee", "-at"], name="generation_licensee_at"),
            models.Index(fields=["at"], name="generation_at"),
            models.Index(fields=["key", "-at"], name="generation_key_at"),
        ]

    def __str__(self) -> str:
        return f"{self.style} of {self.at:%Y-%m-%d %H:%M}"

    @property
    def prefix(self) -> str:
        """Folder of its files in object storage."""
        return f"generations/{self.pk}/"


class Certificate(models.Model):
    """A version of a generation's certificate, in the log.  The database refuses to change or remove it.

    Serving issues the first; a later one adds the licensee's statement about the part of people.
    """

    id = IdField()
    generation = models.ForeignKey(
        Generation, on_delete=models.DO_NOTHING, db_constraint=False, related_name="certificates"
    )
    version = models.PositiveIntegerField()
    licensee = models.ForeignKey(
        "accounts.Organisation", on_delete=models.DO_NOTHING, db_constraint=False, related_name="certificates"
    )
    license = models.ForeignKey(
        "licensing.License", on_delete=models.DO_NOTHING, db_constraint=False, related_name="certificates"
    )
    at = models.DateTimeField()
    """When the sound was made."""
    token = models.TextField()
    """As JWS (`stemma.provenance.certificate`)."""
    sha256 = models.CharField(max_length=64, unique=True)
    """Hash of the token: what the log holds."""
    pcm_sha256 = models.CharField(max_length=64, db_index=True)
    midi_sha256 = models.CharField(max_length=64, db_index=True)
    sketch = ArrayField(models.IntegerField())
    """Of its fingerprint (`stemma.music.likeness`): by its members a sound is found that was changed since."""
    entry = models.OneToOneField("core.LogEntry", on_delete=models.PROTECT, related_name="+")
    source = models.ForeignKey(FactObject, on_delete=models.PROTECT, null=True, related_name="+")
    """Null for a version that was made here."""
    digest = models.CharField(max_length=64, blank=True)
    """SHA-256 of the fact's canonical form."""

    class Meta:
        ordering = ["-at", "-generation_id", "-version"]
        indexes = [
            models.Index(fields=["licensee", "-at"], name="certificate_licensee_at"),
            GinIndex(fields=["sketch"], name="certificate_sketch"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["generation", "version"], name="certificate_version_once"),
        ]

    def __str__(self) -> str:
        return f"certificate of {self.generation_id}, version {self.version}"


class Attribution(models.Model):
    """By which method the shares of one generation were found, and how well that method does."""

    id = IdField()
    generation = models.OneToOneField(
        Generation, on_delete=models.DO_NOTHING, db_constraint=False, related_name="attribution"
    )
    at = models.DateTimeField()
    model_release = models.CharField(max_length=200)
    snapshot = models.CharField(max_length=100)
    method = models.CharField(max_length=100)
    store = models.CharField(max_length=200)
    checkpoints = models.PositiveIntegerField()
    lds = models.FloatField(null=True)
    """Fidelity: mean Spearman of predicted and measured effect; null where it was not measured."""
    lds_low = models.FloatField(null=True)
    lds_high = models.FloatField(null=True)
    version = models.PositiveSmallIntegerField(default=1)
    """Of the fact: from 2 on it says intervals where there is more than one checkpoint."""
    source = models.ForeignKey(FactObject, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.method} over {self.store}"


class GenerationShare(models.Model):
    """What one recording, or the commons, gave to a generation."""

    id = models.BigAutoField(primary_key=True)
    generation = models.ForeignKey(Generation, on_delete=models.DO_NOTHING, db_constraint=False, related_name="shares")
    recording = models.ForeignKey(
        "catalog.Recording", on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="influences"
    )
    """Null for the commons: what no recording explains, shared equally per trained work."""
    ppb = models.BigIntegerField()
    low = models.BigIntegerField(null=True)
    """Smallest part, ppb, that any one checkpoint gives it; null where its fact says no interval."""
    high = models.BigIntegerField(null=True)
    """Largest part, ppb."""

    class Meta:
        ordering = ["-ppb", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["generation", "recording"], name="generation_share_once", nulls_distinct=False
            ),
            models.CheckConstraint(condition=models.Q(ppb__gte=0, ppb__lte=1_000_000_000), name="generation_share_ppb"),
            models.CheckConstraint(
                condition=models.Q(low=None, high=None)
                | models.Q(low__isnull=False, high__isnull=False)
                & models.Q(low__gte=0, low__lte=models.F("ppb"), high__gte=models.F("ppb"), high__lte=1_000_000_000),
                name="generation_share_interval",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ppb} ppb"


class FactConflict(models.Model):
    """A fact that says otherwise than the one that already stands under its identifier.

    The first fact stands; the other is kept here for people to look into, and changes nothing.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=12, choices=FactObject.Kind)
    fact = models.UUIDField(db_index=True)
    source = models.ForeignKey(FactObject, on_delete=models.PROTECT, related_name="conflicting")
    digest = models.CharField(max_length=64)
    body = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at"]
        constraints = [models.UniqueConstraint(fields=["fact", "digest"], name="fact_conflict_once")]

    def __str__(self) -> str:
        return f"{self.kind} fact {self.fact}"
