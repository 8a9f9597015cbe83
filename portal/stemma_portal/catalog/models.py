"""Works, recordings, parties and shares."""

from django.db import models

from stemma_portal.core.fields import IdField


class Party(models.Model):
    """A person or organisation that owns or made something."""

    id = IdField()
    name = models.CharField(max_length=200)
    ipi = models.CharField(max_length=11, blank=True)
    isni = models.CharField(max_length=16, blank=True)
    demo = models.BooleanField(default=False)
    """A made-up rights-holder; marked as such wherever it is shown."""

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "parties"

    def __str__(self) -> str:
        return self.name


class Work(models.Model):
    """A composition."""

    id = IdField()
    title = models.CharField(max_length=500)
    iswc = models.CharField(max_length=11)
    composer = models.CharField(max_length=300, blank=True)
    year = models.IntegerField(null=True, blank=True)
    region = models.CharField(max_length=100, blank=True)

    def __str__(self) -> str:
        return self.title


class Recording(models.Model):
    """A recording of a work, with its content in object storage."""

    id = IdField()
    isrc = models.CharField(max_length=12, unique=True)
    title = models.CharField(max_length=500)
    work = models.ForeignKey(Work, on_delete=models.PROTECT, related_name="recordings")
    style = models.CharField(max_length=40, db_index=True)
    """Repertoire, such as `chorale`."""
    collection = models.CharField(max_length=200)
    tempo = models.FloatField()
    """Quarter notes per minute."""
    key = models.CharField(max_length=20)
    time_signature = models.CharField(max_length=10)
    instruments = models.JSONField(default=list)
    duration_ms = models.PositiveIntegerField()
    midi_sha256 = models.CharField(max_length=64)
    audio_sha256 = models.CharField(max_length=64)
    loudness_lufs = models.FloatField()
    peaks = models.JSONField(default=list)
    """Waveform: peak of each of up to 1,000 equal parts, 0…255."""
    source_name = models.CharField(max_length=300)
    source_license = models.TextField()
    source_free = models.BooleanField()
    """Whether the source allows training, publication and commercial use."""
    source_note = models.TextField(blank=True)
    record_sha256 = models.CharField(max_length=64, default="")
    """Hash of the record it was last imported from: the same record changes nothing."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.title

    @property
    def audio_key(self) -> str:
        """Its sound in object storage."""
        return f"audio/{self.audio_sha256}.flac"

    @property
    def midi_key(self) -> str:
        """Its score in object storage."""
        return f"midi/{self.midi_sha256}.mid"


class Share(models.Model):
    """What a party owns of one right in a recording, in one territory."""

    class Side(models.TextChoices):
        MASTER = "master"
        PUBLISHING = "publishing"

    id = models.BigAutoField(primary_key=True)
    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="shares")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="shares")
    side = models.CharField(max_length=10, choices=Side)
    ppm = models.PositiveIntegerField()
    territory = models.CharField(max_length=5, default="WORLD")

    class Meta:
        ordering = ["recording", "side", "-ppm"]
        constraints = [
            models.UniqueConstraint(fields=["recording", "party", "side", "territory"], name="share_once"),
            models.CheckConstraint(condition=models.Q(ppm__gt=0, ppm__lte=1_000_000), name="share_ppm"),
        ]

    def __str__(self) -> str:
        return f"{self.ppm} ppm of {self.side}"
