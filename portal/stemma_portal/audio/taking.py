"""From a file that is whole to a recording that has it: what it is, what it measures, whose it is.

Bytes are written to object storage first, under names made of their hashes or of the upload; then one
transaction says what became of it.  Whatever ends the work in between, doing it again gives the same.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.urls import reverse

from stemma.catalog.batch import Lying, is_batch, lying
from stemma.catalog.tags import packed, tags_of, wanted
from stemma.catalog.text import clean
from stemma.errors import InvalidError
from stemma.ids import new_id, now
from stemma.music import notation
from stemma.music.form import SCORES, SOUNDS, form_of
from stemma.music.probe import Finding, Probe, findings, probe
from stemma.provenance.mining import mining_of
from stemma.storage import storage
from stemma_portal.accounts.models import User
from stemma_portal.audio.matching import match
from stemma_portal.audio.models import Upload
from stemma_portal.catalog.likeness import likeness_find
from stemma_portal.catalog.models import Asset, Recording, RecordingVersion
from stemma_portal.consent.reservations import MOST_TEXT, mark_refuses, recording_marked
from stemma_portal.core.services import audit
from stemma_portal.intake.services import Stored, import_of_batch
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

MOST_IN_ARCHIVE = 5_000
LONGEST_NAME = 300
NOTATED = {"mid", "midi", "mxl", "musicxml", "xml"}
State = Upload.State


def take(upload: Upload) -> list[Upload]:
    """Look at a file and give it to its recording, or say what is missing; the uploads that an archive held.

    A file that is no music, or is damaged, is refused with the reason.  Looking takes minutes and writes
    nothing but objects named by their content: only what was found is one transaction.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            storage().download(upload.key, path)
            form = form_of(path)
            if form == "zip" and upload.batch_id is not None:
                return _unpack_batch(upload, path)
            if form == "zip" and is_batch(path):
                return _read_batch(upload, path)
            if form == "zip":
                return _unpack(upload, path)
            looked = _look(upload, path, form, Path(folder))
    except InvalidError as error:
        with transaction.atomic():
            if (still := checking(upload.id)) is not None:
                _refuse(still, f"{error.message} {error.remedy}")
        return []
    with transaction.atomic():
        if (still := checking(upload.id)) is not None:
            still.format, still.tags = form, looked.tags
            give(still, _asset(still, looked))
    return []


def checking(identifier: str) -> Upload | None:
    """The upload, locked, if it still waits to be looked at."""
    rows = Upload.objects.select_for_update(of=("self",)).select_related("organisation", "recording")
    return rows.filter(id=identifier, state=State.CHECKING).first()


def give(upload: Upload, asset: Asset) -> None:
    """Give a measured file to the recording that it belongs to, where that is certain and nothing is doubtful."""
    found = None
    if upload.recording is None:
        found = match(organisation=upload.organisation, name=upload.name, tags=upload.tags)
    recording = upload.recording or (found.recording if found else None)
    upload.asset, upload.recording = asset, recording
    upload.matched_by = upload.matched_by or (found.by if found else "")
    upload.findings = _findings(asset, recording)
    wrong = [each for each in upload.findings if each[1] == "error"]
    if wrong:
        return _refuse(upload, " ".join(f"{told} {remedy}" for _, _, told, remedy in wrong))
    if recording is None:
        upload.state, upload.message = State.WAITING, "No recording was found for it."
    elif any(each[1] == "doubt" for each in upload.findings):
        upload.state, upload.message = State.WAITING, ""  # the findings say why
    else:
        return adopt(upload)
    return _keep(upload)


def adopt(upload: Upload, *, by: User | None = None) -> None:
    """Make a file the sound, or the score, of its recording; the recording becomes another version.

    `by` is who says that it is right in spite of doubts; else it is whoever brought it.
    """
    asset = upload.asset
    assert asset is not None  # noqa: S101 - only what was measured is given away
    who = by or User.objects.filter(email=upload.created_by).first()
    with transaction.atomic():
        recording = Recording.objects.select_for_update().get(id=upload.recording_id)
        upload.recording, upload.state, upload.message = recording, State.TAKEN, ""
        changes = _changes(asset)
        if any(getattr(recording, name) != value for name, value in changes.items()):
            before = {name: getattr(recording, name) for name in changes if name != "peaks"}
            _become(recording, changes, cause=f"{asset.kind} {asset.id}", by=who.email if who else upload.created_by)
            after = {name: value for name, value in changes.items() if name != "peaks"}
            audit(by=who, action=f"{asset.kind}.take", subject=recording.id, asset=asset.id, before=before, after=after)
        if asset.recording_id is None:
            asset.recording = recording
            asset.save(update_fields=["recording"])
        if asset.kind == Asset.Kind.AUDIO and "marks" in asset.measures:
            recording_marked(recording=recording, place=upload.name, marks=asset.measures["marks"], by=who)
        _keep(upload)
    transaction.on_commit(lambda: likeness_find(recording), robust=True)


def _become(recording: Recording, changes: dict[str, Any], *, cause: str, by: str) -> None:
    """Another version of a recording: what its files say of it."""
    last = recording.versions.order_by("-number").first()
    for name, value in changes.items():
        setattr(recording, name, value)
    recording.version += 1
    recording.save(update_fields=[*changes, "version", "updated_at"])
    record = (last.record if last else {}) | {name: value for name, value in changes.items() if name != "peaks"}
    RecordingVersion.objects.create(
        recording=recording, number=recording.version, at=now(), by=by, cause=cause, record=record
    )


def _changes(asset: Asset) -> dict[str, Any]:
    """What a recording takes over from a file."""
    measures = asset.measures
    if asset.kind == Asset.Kind.AUDIO:
        return {
            "audio_sha256": measures["master_sha256"],
            "duration_ms": measures["duration_ms"],
            "loudness_lufs": measures["loudness_lufs"],
            "peaks": measures["peaks"],
        }
    names = ("tempo", "key", "time_signature", "instruments")
    return {"midi_sha256": measures["midi_sha256"], **{name: measures[name] for name in names}}


def _findings(asset: Asset, recording: Recording | None) -> list[list[str]]:
    """What is to be said of a file, beside this recording."""
    if asset.kind == Asset.Kind.SCORE:
        found = list(asset.problems)
        if recording and recording.midi_sha256 not in ("", asset.measures["midi_sha256"]):
            found.append(_replaces("score"))
        return found
    measures = {name: value for name, value in asset.measures.items() if name not in {"master_sha256", "marks"}}
    measured = Probe(**measures, fingerprint=b"")
    brought = bool(recording and recording.audio_sha256)
    expected = recording.duration_ms if recording and not brought else None
    found = [list(each) for each in (*findings(measured, expected_ms=expected), *_of_marks(asset.measures))]
    if recording and brought and recording.audio_sha256 != asset.measures["master_sha256"]:
        found.append(_replaces("sound"))
    return found


def _of_marks(measures: dict[str, Any]) -> list[Finding]:
    """What the file's content credentials say of mining and training: told, and settled beside a consent later."""
    marks = measures.get("marks") or {}
    if "problem" in marks:
        return [Finding("credentials", "note", marks["problem"], "")]
    refused = [scope.replace("_", " ") for scope in mark_refuses(marks)]
    if not refused:
        return []
    told = f"Its content credentials reserve {', '.join(refused)}."
    return [Finding("reserved", "note", told, "An owner who grants this all the same settles it under Reservations.")]


def _marks(path: Path, form: Any) -> dict[str, Any] | None:
    """The same, as it is kept with the measures of the file."""
    try:
        found = mining_of(path, form)
    except InvalidError as error:
        return {"problem": f"{error.message} {error.remedy}"}
    if found is None:
        return None
    return {
        "uses": found.mining.uses,
        "constraint": found.mining.constraint,
        "text": found.text[:MOST_TEXT],
        "sha256": hashlib.sha256(found.text.encode()).hexdigest(),
        "issuer": found.issuer,
        "intact": found.intact,
    }


def _replaces(what: str) -> list[str]:
    told = f"The recording has a {what} already: this one would take its place in every snapshot from now on."
    return list(Finding("replaces", "doubt", told, "Confirm it only if it is the same recording."))


class _Look(NamedTuple):
    """What was seen of a file."""

    sha256: str
    tags: dict[str, str]
    known: Asset | None
    """The same bytes, where the organisation has brought them before: they are not measured twice."""
    given: dict[str, Any]
    """What the asset is made of, where it is new."""


def _look(upload: Upload, path: Path, form: Any, folder: Path) -> _Look:
    digest = _sha256(path)
    tags = tags_of(path) if form in SOUNDS else {}
    tags.pop("duration_ms", None)  # it was measured
    known = Asset.objects.filter(organisation=upload.organisation, sha256=digest).order_by("at").first()
    if known is not None:
        return _Look(digest, tags, known, {})
    identifier = new_id()
    given = _score(path, form) if form in SCORES else _sound(path, form, folder, identifier)
    return _Look(digest, tags, None, {"id": identifier, **given})


def _asset(upload: Upload, looked: _Look) -> Asset:
    """What was seen, as it is kept."""
    if looked.known is None:
        same = {name: getattr(upload, name) for name in ("organisation", "name", "size", "format", "key")}
        return Asset.objects.create(**same, **looked.given, sha256=looked.sha256, at=now())
    if upload.recording is None and looked.known.recording is not None:
        upload.recording, upload.matched_by = looked.known.recording, "file"
    if looked.known.key != upload.key:
        _delete_later(upload.key)
        upload.key = looked.known.key
    return looked.known


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _delete_later(key: str) -> None:
    """Remove an object once it is written that nobody needs it."""
    transaction.on_commit(lambda: storage().delete(key), robust=True)


def _sound(path: Path, form: Any, folder: Path, identifier: str) -> dict[str, Any]:
    master, preview = folder / "master.flac", folder / "preview.mp3"
    found = probe(path, form=form, master=master, preview=preview)
    digest = _sha256(master)
    store, key = storage(), f"previews/{identifier}.mp3"
    if not store.exists(f"audio/{digest}.flac"):
        store.put(f"audio/{digest}.flac", master, "audio/flac")
    store.put(key, preview, "audio/mpeg")
    measures = found.measures() | {"peaks": list(found.peaks), "master_sha256": digest, "marks": _marks(path, form)}
    return {"kind": Asset.Kind.AUDIO, "preview_key": key, "measures": measures, "fingerprint": found.fingerprint}


def _score(path: Path, form: Any) -> dict[str, Any]:
    found = notation.read(path, form)
    digest = hashlib.sha256(found.midi).hexdigest()
    storage().put_new(f"midi/{digest}.mid", found.midi, "audio/midi")
    measures = {
        "midi_sha256": digest,
        "tempo": found.tempo,
        "key": found.key,
        "time_signature": found.time_signature,
        "instruments": list(found.instruments),
        "notes": found.notes,
        "duration_ms": found.duration_ms,
    }
    problems = []
    if not found.tempo_named:
        told = f"The score names no tempo: {found.tempo:g} quarter notes a minute are taken."
        problems.append(list(Finding("tempo", "note", told, "Write one into the score if it is another.")))
    return {"kind": Asset.Kind.SCORE, "measures": measures, "problems": problems}


def _unpack(upload: Upload, path: Path) -> list[Upload]:
    """The files of an archive as uploads of their own; what is there from an earlier try is not brought twice."""
    made: list[Upload] = []
    with packed(path, names=_is_music) as members:
        if not members:
            raise InvalidError("The archive holds no sound and no score.", remedy="Pack WAV, FLAC, AIFF, MP3 or Ogg.")
        if len(members) > MOST_IN_ARCHIVE:
            raise InvalidError(f"The archive holds more than {MOST_IN_ARCHIVE:,} files.", remedy="Bring it in parts.")
        there = set(upload.files.values_list("place", flat=True))
        for place, (name, write) in enumerate(members, start=1):
            if place not in there:
                with suppress(IntegrityError):  # another worker was quicker
                    made.append(_member(upload, place, name, write, path.parent))
    files = "1 file" if len(members) == 1 else f"{len(members):,} files"
    upload.state, upload.format, upload.message = State.UNPACKED, "zip", files
    with transaction.atomic():
        _keep(upload)
        _delete_later(upload.key)
        audit(by=None, action="upload.unpack", subject=upload.id, files=len(members))
    return made


def _read_batch(upload: Upload, path: Path) -> list[Upload]:
    """An ERN batch is imported first, where somebody confirms what it says; then its sounds are taken."""
    stored = Stored(upload.key, path.stat().st_size, _sha256(path), "batch")
    by = User.objects.get(email=upload.created_by)
    with transaction.atomic():
        if (still := checking(upload.id)) is not None:
            still.state, still.format, still.message = State.UNPACKED, "batch", "It is read on the page Imports."
            import_of_batch(organisation=still.organisation, stored=stored, name=still.name, by=by)
            _keep(still)
    return []


def _unpack_batch(upload: Upload, path: Path) -> list[Upload]:
    """The sounds of an imported batch, each for the recording that its message names; what is there stays.

    Its file is the import's: it is not removed.
    """
    there = set(upload.files.values_list("place", flat=True))
    rows = upload.batch.rows.filter(done=True).exclude(resource="").exclude(recording=None).order_by("number")
    made: list[Upload] = []
    with lying(path) as files:
        for place, name, recording in rows.values_list("number", "resource", "recording"):
            if place not in there and Recording.objects.filter(id=recording).exists():
                with suppress(IntegrityError):  # another worker was quicker
                    write = partial(_laid, files[name])
                    made.append(_member(upload, place, name, write, path.parent, recording=str(recording)))
    with transaction.atomic():
        count = upload.files.count()
        upload.state, upload.format, upload.message = State.UNPACKED, "batch", f"{count:,} sounds"
        _keep(upload)
        audit(by=None, action="upload.unpack", subject=upload.id, files=count)
    return made


def _laid(lay: Lying, into: Path) -> None:
    lay(into)


def _member(
    upload: Upload,
    place: int,
    name: str,
    write: Callable[[Path], None],
    folder: Path,
    *,
    recording: str | None = None,
) -> Upload:
    identifier, file = new_id(), folder / "member"
    one = Upload(
        id=identifier,
        organisation=upload.organisation,
        name=plain_name(name),
        size=0,
        key=f"originals/{upload.organisation_id}/{identifier}",
        archive=upload,
        place=place,
        recording_id=recording,
        matched_by="message" if recording else "",
        state=State.CHECKING,
        created_by=upload.created_by,
        created_at=now(),
        updated_at=now(),
    )
    try:
        write(file)
    except InvalidError as error:
        one.state, one.message = State.REFUSED, f"{error.message} {error.remedy}"
    else:
        one.size = file.stat().st_size
        storage().put(one.key, file)
    one.save(force_insert=True)
    return one


def _is_music(name: str) -> bool:
    """Whether a member of an archive calls itself a sound or a score."""
    stem, dot, ending = name.rpartition(".")
    return wanted(name) or (ending.lower() in NOTATED and wanted(f"{stem}{dot}wav"))


def plain_name(name: str) -> str:
    """A file's name without its folders and without what deceives the eye."""
    called = clean(Path(name.replace("\\", "/")).name)
    return called.text[:LONGEST_NAME] if called.text and not called.refused else "file"


def _refuse(upload: Upload, told: str) -> None:
    upload.state, upload.message = State.REFUSED, told
    _keep(upload)
    if upload.asset is None and upload.batch_id is None:
        _delete_later(upload.key)


_KEPT: Sequence[str] = (
    *("state", "format", "tags", "asset", "recording", "matched_by", "findings", "message", "key", "updated_at"),
)


def _keep(upload: Upload) -> None:
    upload.updated_at = now()
    upload.save(update_fields=_KEPT)
    if upload.state in {State.WAITING, State.REFUSED}:
        attention_told(upload)


def attention_told(upload: Upload) -> None:
    """Tell whoever brought the file that files need a word from them: once a day, however many do."""
    notify(
        users=User.objects.filter(email=upload.created_by),
        topic=Topic.AUDIO,
        title="Files that you brought need a word from you",
        text=f"{upload.name}, and perhaps others after it, could not be taken as they are. Each says on its page what "
        "is missing: which recording it is, that it is right in spite of a doubt, or a better file.",
        href=reverse("audio:uploads"),
        key=f"audio:{upload.organisation_id}:{now():%Y-%m-%d}",
    )
