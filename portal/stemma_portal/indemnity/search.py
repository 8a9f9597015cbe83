"""Finding the output that a sound is: by what it carries, by its bytes and samples, by how it sounds.

Each way is asked only where the one before finds nothing.  Outputs of others are looked at too, so that
staff know, and told to nobody else.  There is no watermark in outputs: what is left of a sound whose
credentials were removed and whose samples were changed is its fingerprint.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import soundfile
from django.db.models import QuerySet

from stemma.config import settings
from stemma.errors import InvalidError, NotFoundError, StemmaError
from stemma.music.form import LOSSY, Form
from stemma.music.likeness import SAME_SOUND, bit_error, sound_sketch
from stemma.music.probe import Probe, probe
from stemma.provenance import certificate as certificates
from stemma.provenance.authority import Authority
from stemma.provenance.bundle import key as bundle_key
from stemma.provenance.carried import carried
from stemma.provenance.certificate import pcm_sha256
from stemma.provenance.dossier import Finding, alteration
from stemma.storage import storage
from stemma_portal.accounts.models import Organisation
from stemma_portal.core.fields import by_id
from stemma_portal.core.keys import keyring
from stemma_portal.indemnity.models import OutputPrint
from stemma_portal.metering.heard import generation_record
from stemma_portal.metering.models import Generation

FEWEST = 2
"""Members of a sketch that two sounds must share before they are compared."""
CANDIDATES = 500
CHUNK = 50
CERTAIN = 1_000_000
SOUNDS = ("flac", "wav")
Told = Callable[[str], None]


@dataclass(frozen=True)
class Match:
    """An output, how it was found, and whether the sound differs from it (None: it may just be converted)."""

    generation: Generation
    finding: Finding
    altered: bool | None


class Heard:
    """A sound under claim; it is decoded when that is needed, once, and in a process of its own."""

    def __init__(self, path: Path, form: Form, mark: str) -> None:
        self.path, self.form, self.sha256 = path, form, mark

    @property
    def probe(self) -> Probe:
        """What was measured of it, its fingerprint too.  Raises `InvalidError` for what cannot be decoded."""
        return self._decoded[0]

    @property
    def pcm_sha256(self) -> str:
        """Of its samples; empty where it was compressed with losses."""
        return self._decoded[1]

    @cached_property
    def _decoded(self) -> tuple[Probe, str]:
        with tempfile.TemporaryDirectory() as folder:
            # The samples are read from what the decoder wrote, never from the file itself.
            master = Path(folder) / "master.flac"
            found = probe(self.path, form=self.form, master=master)
            lossy = self.form in LOSSY
            return found, "" if lossy else pcm_sha256(soundfile.read(master, dtype="int16", always_2d=True)[0])


def output_find(*, heard: Heard, organisation: Organisation, told: Told = lambda _: None) -> tuple[Match | None, str]:
    """The licensee's output that this sound is, and a note for staff where it is somebody else's."""
    own, note = Generation.objects.filter(licensee=organisation), ""
    for match in _ways(heard, own, organisation, told):
        if match.generation.licensee_id == organisation.pk:
            return match, ""
        note = f"It is output {match.generation.pk} of another licensee: {match.finding.said}"
    return None, note


def prints_take(*, rows: QuerySet[Generation] | None = None, most: int = CHUNK) -> int:
    """Note by what outputs are found of which nobody has yet, the newest first; how many they were."""
    waiting = (rows if rows is not None else Generation.objects.all()).filter(print=None)
    found = list(waiting.order_by("-at", "-id")[:most])
    for generation in found:
        OutputPrint.objects.bulk_create([_print(generation)], ignore_conflicts=True)
    return len(found)


def anchors(*, release: str) -> str:
    """The roots of our content credentials, PEM: from the keys, or from what serving published with its proofs."""
    try:
        return Authority(settings().keys_path).anchors()
    except NotFoundError:
        return str(storage().get_json(bundle_key(release))["anchors"])


def _ways(heard: Heard, own: QuerySet[Generation], organisation: Organisation, told: Told) -> Iterator[Match]:
    for generation in Generation.objects.filter(audio_sha256=heard.sha256)[:2]:
        yield Match(generation, Finding(by="file-hash", sure_ppm=CERTAIN, said="By the hash of its file."), False)
    _ = heard.probe  # from here on it has to be a sound
    if match := _by_credentials(heard):
        yield match
    while count := prints_take(rows=own):
        told(f"{count} outputs listened to")
    for marks, by, words in (
        ([heard.sha256], "file-hash", "its file"),
        ([heard.pcm_sha256], "sound-hash", "its samples"),
    ):
        for found in OutputPrint.objects.filter(hashes__overlap=[m for m in marks if m]).select_related("generation"):
            finding = Finding(by=by, sure_ppm=CERTAIN, said=f"By the hash of {words}.")  # type: ignore[arg-type]
            yield Match(found.generation, finding, False)
    for others in (False, True):
        rows = OutputPrint.objects.select_related("generation")
        rows = (rows.exclude if others else rows.filter)(generation__licensee=organisation)
        if match := _by_fingerprint(heard, rows):
            yield match


def _by_credentials(heard: Heard) -> Match | None:
    """What the certificate in the file names, where the file sounds like it: a certificate is moved easily."""
    try:
        roots = Authority(settings().keys_path).anchors()
    except NotFoundError:
        roots = ""
    token = carried(heard.path, heard.form, roots)
    if token is None:
        return None
    try:
        said = certificates.read(token, keyring().jwks())
    except (StemmaError, ValueError):
        return None
    generation = by_id(Generation.objects.all(), said.generation)
    if generation is None:
        return None
    if said.pcm_sha256 == heard.pcm_sha256:
        words = "By the certificate that it carries, which is for these very samples."
        return Match(generation, Finding(by="credentials", sure_ppm=CERTAIN, said=words), False)
    held = OutputPrint.objects.filter(generation=generation).first() or _print(generation)
    return _alike(heard, generation, held, "credentials", "By the certificate that it carries, and by its fingerprint")


def _by_fingerprint(heard: Heard, rows: QuerySet[OutputPrint]) -> Match | None:
    mine = set(sound_sketch(heard.probe.fingerprint))
    if not mine:
        return None
    near = rows.filter(sketch__overlap=sorted(mine)).order_by("-generation__at")[:CANDIDATES]
    ranked = sorted(near, key=lambda each: -len(mine & set(each.sketch)))
    matches = [
        match
        for each in ranked
        if len(mine & set(each.sketch)) >= FEWEST
        and (match := _alike(heard, each.generation, each, "fingerprint", "By its fingerprint"))
    ]
    return max(matches, key=lambda match: match.finding.sure_ppm, default=None)


def _alike(heard: Heard, generation: Generation, held: OutputPrint, by: str, words: str) -> Match | None:
    error = bit_error(heard.probe.fingerprint, bytes(held.fingerprint))
    if error is None or error > SAME_SOUND:
        return None
    said = f"{words}: {error:.1%} of bits differ, of strangers’ about half."
    finding = Finding(
        by=by, sure_ppm=round((1 - 2 * error) * CERTAIN), error_ppm=round(error * CERTAIN), said=said,  # type: ignore[arg-type]
    )  # fmt: skip
    return Match(generation, finding, alteration(error, heard.probe.duration_ms, held.duration_ms))


def _print(generation: Generation) -> OutputPrint:
    record = generation_record(generation) or {"files": {}}
    hashes = {generation.audio_sha256, *(record["files"][form]["sha256"] for form in SOUNDS if form in record["files"])}
    made = OutputPrint(generation=generation, hashes=sorted(hashes))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.flac"
        try:
            storage().download(f"{generation.prefix}audio.flac", path)
            heard = Heard(path, "flac", generation.audio_sha256)
            made.hashes = sorted({*hashes, heard.pcm_sha256})
            made.fingerprint, made.duration_ms = heard.probe.fingerprint, heard.probe.duration_ms
        except (NotFoundError, InvalidError):
            return made  # gone, or no sound: it is found by its hash alone
    made.sketch = sound_sketch(made.fingerprint)
    return made
