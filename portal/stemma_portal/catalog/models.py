"""Works, recordings, releases, parties, shares, and how they came to be what they are."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Lower

from stemma_portal.core.fields import IdField


class Party(models.Model):
    """A person or organisation that owns or made something."""

    id = IdField()
    name = models.CharField(max_length=200)
    ipi = models.CharField(max_length=11, blank=True, db_index=True)
    isni = models.CharField(max_length=16, blank=True, db_index=True)
    introduced_by = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="introduced"
    )
    """The organisation whose catalog brought the name: the same name from another one is another party
    until an IPI or ISNI says otherwise.  None: known to the house."""
    demo = models.BooleanField(default=False)
    """A made-up rights-holder; marked as such wherever it is shown."""

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "parties"
        indexes = [models.Index(fields=["introduced_by", "name"], name="party_by_name")]

    def __str__(self) -> str:
        return self.name


class Work(models.Model):
    """A composition."""

    id = IdField()
    title = models.CharField(max_length=500)
    iswc = models.CharField(max_length=11, blank=True, db_index=True)
    composer = models.CharField(max_length=300, blank=True)
    year = models.IntegerField(null=True, blank=True)
    period = models.CharField(max_length=4, blank=True, db_default="")
    """Year or century of origin, such as `17XX`, where it is not the year (`stemma.catalog.origin`)."""
    region = models.CharField(max_length=100, blank=True)
    """In the words of whoever brought it."""
    region_code = models.CharField(max_length=6, blank=True, db_default="")
    """What the words mean, by ISO 3166 or M49; empty: unknown."""
    organisation = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="works"
    )
    """Who brought it; None: the house."""
    reference = models.CharField(max_length=100, blank=True)
    """That organisation's own number for it."""
    publishing = models.JSONField(default=list, blank=True)
    """Publishing shares as a registration (CWR) names them, each `{party, ppm, territory}`: recordings
    of the work that bring none of their own take these."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "reference"], condition=~models.Q(reference=""), name="work_reference_once"
            )
        ]

    def __str__(self) -> str:
        return self.title


class Release(models.Model):
    """An album, a single: recordings under one product code."""

    id = IdField()
    title = models.CharField(max_length=500)
    upc = models.CharField(max_length=14, blank=True)
    artist = models.CharField(max_length=300, blank=True)
    label = models.CharField(max_length=200, blank=True)
    released_on = models.DateField(null=True, blank=True)
    organisation = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="releases"
    )

    class Meta:
        ordering = ["title", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "upc"],
                condition=~models.Q(upc=""),
                name="release_upc_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return self.title


class Cluster(models.Model):
    """Recordings that are one and the same in provenance; the canonical one stands for all in snapshots."""

    id = IdField()
    canonical = models.ForeignKey("Recording", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"cluster of {self.canonical_id}"


class Recording(models.Model):
    """A recording of a work, with its content in object storage where it was brought already."""

    id = IdField()
    isrc = models.CharField(max_length=12, blank=True, db_index=True)
    organisation = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="recordings"
    )
    """Who brought it; None: the house.  Two organisations may register one ISRC: that is a claim to be
    resolved, and both are held until it is."""
    reference = models.CharField(max_length=100, blank=True)
    """That organisation's own number for it."""
    title = models.CharField(max_length=500)
    artist = models.CharField(max_length=300, blank=True)
    work = models.ForeignKey(Work, on_delete=models.PROTECT, related_name="recordings")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True, blank=True, related_name="recordings")
    track = models.PositiveSmallIntegerField(null=True, blank=True)
    style = models.CharField(max_length=40, db_index=True, blank=True)
    """Repertoire, such as `chorale`."""
    collection = models.CharField(max_length=200, blank=True)
    tempo = models.FloatField(null=True, blank=True)
    """Quarter notes per minute."""
    key = models.CharField(max_length=20, blank=True)
    time_signature = models.CharField(max_length=10, blank=True)
    instruments = models.JSONField(default=list)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    """As the sender says, until the audio is here; then as it is."""
    midi_sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    audio_sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    audio_file = models.CharField(max_length=300, blank=True)
    """Name under which the sender will bring its sound."""
    loudness_lufs = models.FloatField(null=True, blank=True)
    peaks = models.JSONField(default=list)
    """Waveform: peak of each of up to 1,000 equal parts, 0…255."""
    source_name = models.CharField(max_length=300, blank=True)
    source_license = models.TextField(blank=True)
    source_free = models.BooleanField(default=True)
    """Whether the source allows training, publication and commercial use."""
    source_note = models.TextField(blank=True)
    reservation = models.JSONField(null=True, blank=True)
    """`stemma.catalog.record.ReservationRecord` that its message or its file carries."""
    taken_down_at = models.DateTimeField(null=True, blank=True)
    """When its sender took it down: it stays, and is in no later snapshot."""
    cluster = models.ForeignKey(Cluster, on_delete=models.SET_NULL, null=True, blank=True, related_name="recordings")
    record_sha256 = models.CharField(max_length=64, default="")
    """Hash of the record it was last imported from: the same record changes nothing."""
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "isrc"],
                condition=~models.Q(isrc=""),
                name="recording_isrc_once",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["organisation", "reference"],
                condition=~models.Q(reference=""),
                name="recording_reference_once",
            ),
        ]
        indexes = [
            # By the name of its file a sound finds its recording.
            models.Index(
                "organisation", Lower("audio_file"), condition=~models.Q(audio_file=""), name="recording_by_file"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def audio_key(self) -> str:
        """Its sound in object storage; empty while there is none."""
        return f"audio/{self.audio_sha256}.flac" if self.audio_sha256 else ""

    @property
    def midi_key(self) -> str:
        """Its score in object storage; empty while there is none."""
        return f"midi/{self.midi_sha256}.mid" if self.midi_sha256 else ""

    @property
    def lacking(self) -> list[str]:
        """What every snapshot needs of it and is not here yet, in words."""
        needed = (("a sound", self.audio_sha256), ("its length", self.duration_ms))
        return [name for name, there in needed if not there]

    @property
    def lacking_of_score(self) -> list[str]:
        """What models that write notes need of it besides, and is not here yet, in words."""
        needed = (("a score (MIDI or MusicXML)", self.midi_sha256), ("a tempo", self.tempo))
        return [name for name, there in needed if not there]


class Entry(models.Model):
    """A recording as the catalog is searched: derived, see `stemma_portal.catalog.search`.

    Narrow, because a search looks at many: everything that is asked for stands in one vector under
    one index, so that a rare word finds its few whatever else is asked.
    """

    recording = models.OneToOneField(Recording, on_delete=models.CASCADE, primary_key=True, related_name="entry")
    title_key = models.CharField(max_length=200, db_collation="C")
    """The title without case and accents: what lists are ordered by."""
    search = SearchVectorField()
    """Words and codes of the recording, its work and its release, and marks that begin with `#`: whose it
    is, what it has."""

    class Meta:
        verbose_name_plural = "entries"
        indexes = [
            GinIndex(fields=["search"], name="entry_search"),
            models.Index(fields=["title_key", "recording"], name="entry_by_title"),
        ]

    def __str__(self) -> str:
        return self.title_key


class Stale(models.Model):
    """A recording whose entry is behind: noted by the database itself whenever what it is made of changes."""

    id = models.BigAutoField(primary_key=True)
    recording_id = models.UUIDField()

    class Meta:
        verbose_name_plural = "stale"

    def __str__(self) -> str:
        return str(self.recording_id)


class RecordingVersion(models.Model):
    """What a recording was after each change.  The database refuses to change or remove it."""

    id = IdField()
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    by = models.CharField(max_length=254, blank=True)
    cause = models.CharField(max_length=200)
    """Such as `import <id>`, `takedown`, `shares`."""
    record = models.JSONField()
    """`stemma.catalog.record.RecordingRecord` as it was from then on."""

    class Meta:
        ordering = ["recording", "-number"]
        constraints = [models.UniqueConstraint(fields=["recording", "number"], name="recording_version_once")]

    def __str__(self) -> str:
        return f"{self.recording_id} v{self.number}"


class Share(models.Model):
    """What a party owns of one right in a recording, in one territory: the state in force.

    Its history is in `ShareRevision`.
    """

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


class ShareRevision(models.Model):
    """All shares of a recording as somebody stated them, from a day on.  Never changed or removed."""

    id = IdField()
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="share_revisions")
    number = models.PositiveIntegerField()
    valid_from = models.DateField()
    shares = models.JSONField()
    """A list of `{"party": id, "side": "master" or "publishing", "ppm": int, "territory": "WORLD" or
    country}`, sorted by side, territory and party; every side that is named sums to one million in every
    territory (`stemma_portal.catalog.sharing.shares_check`)."""
    planned = models.BooleanField(default=False, db_default=False)
    """Stated before its day."""
    at = models.DateTimeField()
    by = models.CharField(max_length=254, blank=True)
    cause = models.CharField(max_length=200)
    """Such as `import <id>`, `editor`, `claim <id>`."""

    class Meta:
        ordering = ["recording", "-number"]
        constraints = [models.UniqueConstraint(fields=["recording", "number"], name="share_revision_once")]
        indexes = [models.Index(fields=["valid_from"], condition=models.Q(planned=True), name="share_revision_planned")]

    def __str__(self) -> str:
        return f"shares of {self.recording_id} v{self.number}"


class ShareQuestion(models.Model):
    """A party is asked to confirm its part in a revision.  Never changed or removed."""

    id = IdField()
    revision = models.ForeignKey(ShareRevision, on_delete=models.PROTECT, related_name="questions")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="share_questions")
    changes = models.JSONField()
    """Each `{side, territory, before, after}`, in ppm; 0 is none."""
    email = models.EmailField(blank=True, db_default="")
    """Where whoever stated the shares says that the party can be reached."""
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["revision", "party"], name="share_question_once")]

    def __str__(self) -> str:
        return f"{self.party_id} about {self.revision_id}"


class ShareConfirmation(models.Model):
    """A party's yes or no to its part in a revision.  Never changed or removed."""

    class Answer(models.TextChoices):
        CONFIRMED = "confirmed"
        DISPUTED = "disputed"

    id = IdField()
    revision = models.ForeignKey(ShareRevision, on_delete=models.PROTECT, related_name="confirmations")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="share_confirmations")
    answer = models.CharField(max_length=16, choices=Answer)
    note = models.TextField(blank=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=254)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["revision", "party"], name="share_confirmation_once")]

    def __str__(self) -> str:
        return f"{self.party_id} {self.answer} {self.revision_id}"


class Likeness(models.Model):
    """Why two recordings may be one and the same."""

    class Kind(models.TextChoices):
        ISRC = "isrc"
        AUDIO = "audio"
        FINGERPRINT = "fingerprint"
        SCORE = "score"

    class State(models.TextChoices):
        OPEN = "open"
        MERGED = "merged"
        SEPARATE = "separate"

    id = IdField()
    one = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind)
    score = models.FloatField()
    """0…1; 1 is identity."""
    detail = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State, default=State.OPEN, db_index=True)
    found_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["-score", "id"]
        constraints = [models.UniqueConstraint(fields=["one", "other", "kind"], name="likeness_once")]

    def __str__(self) -> str:
        return f"{self.one_id} {self.kind} {self.other_id}"


class Print(models.Model):
    """What a recording is compared by: derived from its sound and its score, see `stemma.music.likeness`."""

    recording = models.OneToOneField(Recording, on_delete=models.CASCADE, primary_key=True, related_name="print")
    fingerprint = models.BinaryField(null=True, blank=True)
    """Chromaprint of the asset it was taken from."""
    sound = ArrayField(models.IntegerField(), default=list)
    midi_sha256 = models.CharField(max_length=64, blank=True)
    """Of the score that the sketch was taken from."""
    score = ArrayField(models.IntegerField(), default=list)

    class Meta:
        indexes = [GinIndex(fields=["sound"], name="print_sound"), GinIndex(fields=["score"], name="print_score")]

    def __str__(self) -> str:
        return f"print of {self.recording_id}"


class Asset(models.Model):
    """A file of sound or score as it was brought and measured, under the hash of its bytes."""

    class Kind(models.TextChoices):
        AUDIO = "audio"
        SCORE = "score"

    id = IdField()
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, null=True, blank=True, related_name="assets")
    organisation = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="assets"
    )
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=300)
    """As its sender called it."""
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField()
    format = models.CharField(max_length=16)
    """By its content: wav, flac, mp3, aiff, ogg, midi, musicxml."""
    key = models.CharField(max_length=200)
    """The bytes as they came, in object storage."""
    preview_key = models.CharField(max_length=200, blank=True)
    measures = models.JSONField(default=dict)
    """`stemma.music.probe.Probe`: rate, channels, length, loudness, peak, silence, clipping …"""
    fingerprint = models.BinaryField(null=True, blank=True)
    """Chromaprint, 32-bit words in network order."""
    problems = models.JSONField(default=list)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return self.name


class Custody(models.Model):
    """A statement of which community looks after recordings, and under which terms.  Never changed or removed.

    `stemma_portal.catalog.custody` is its only writer and says which one is in force.
    """

    class Condition(models.TextChoices):
        ATTRIBUTION = "attribution"
        NO_STYLE_PROMPTING = "no_style_prompting"
        ASK_FIRST = "ask_first"

    id = IdField()
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="custody")
    """The custodian."""
    community = models.CharField(max_length=200)
    """Whose repertoire it is, as it is named in credits."""
    terms = models.TextField(max_length=4000, blank=True)
    conditions = ArrayField(models.CharField(max_length=20, choices=Condition), default=list, blank=True)
    """Those terms that the platform itself keeps, sorted."""
    ended = models.BooleanField(default=False)
    """From here on nobody looks after the recordings."""
    by_staff = models.BooleanField()
    """Stated by rights staff, and in force unless the custodian declines; else it waits for the custodian's yes."""
    collection = models.CharField(max_length=200, blank=True)
    """The collection that was meant, where it was stated for a whole one."""
    at = models.DateTimeField()
    by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "custodies"

    def __str__(self) -> str:
        return f"{self.community}, {self.at:%Y-%m-%d}"


class CustodyRecording(models.Model):
    """A recording that a statement of custody names.  Never changed or removed."""

    id = models.BigAutoField(primary_key=True)
    custody = models.ForeignKey(Custody, on_delete=models.PROTECT, related_name="items")
    recording = models.ForeignKey(Recording, on_delete=models.PROTECT, related_name="custody_items")
    number = models.PositiveIntegerField()
    """Which statement about this recording it is, from 1."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["recording", "number"], name="custody_number_once"),
            models.UniqueConstraint(fields=["custody", "recording"], name="custody_recording_once"),
        ]

    def __str__(self) -> str:
        return f"custody of {self.recording_id} v{self.number}"


class CustodyAnswer(models.Model):
    """What a custodian says: to the custody itself, and to use in snapshots.  Never changed or removed."""

    class Answer(models.TextChoices):
        ACCEPTED = "accepted"
        DECLINED = "declined"
        AGREED = "agreed"
        TAKEN_BACK = "taken-back"

    id = models.BigAutoField(primary_key=True)
    custody = models.ForeignKey(Custody, on_delete=models.PROTECT, related_name="answers")
    recording = models.ForeignKey(
        Recording, on_delete=models.PROTECT, null=True, blank=True, related_name="custody_answers"
    )
    """None: every recording of the statement."""
    answer = models.CharField(max_length=16, choices=Answer)
    note = models.TextField(blank=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=254)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["custody", "-id"], name="custody_answers")]

    def __str__(self) -> str:
        return f"{self.answer} {self.custody_id}"
