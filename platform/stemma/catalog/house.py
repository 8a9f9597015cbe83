"""The house catalog: recordings engraved from public-domain scores, with made-up rights-holders.

See docs/house-catalog.md for what is in it, where it comes from, and what may be done with it.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from stemma.catalog import cast, corpus, repertoire
from stemma.catalog.engraving import Engraved, Take, cache_key, engrave, kept, prepare
from stemma.catalog.record import RecordingRecord, SourceRecord
from stemma.catalog.repertoire import Piece
from stemma.errors import NotFoundError
from stemma.ids import named_id
from stemma.music import soundfont
from stemma.rights.identifiers import iswc, iswc_check
from stemma.storage import Storage

log = logging.getLogger(__name__)

PROCESSES = 2
ISRC_PREFIX = "QZST226"
"""Country and registrant code and year of our recordings.  ISRC has no range for tests: these codes
name nobody's recordings and must never leave a demonstration."""
ISWC_PREFIX = "9"
"""Our works are T-9…: the register has not got there yet, and no agency gave them out."""

PERIODS = {"Trecento": "13XX"}
"""Century by group, where the corpus names one and no year: “Polyphonic Music of the Fourteenth Century”."""

Progress = Callable[[int, int, str], None]
"""Called with the number of pieces done, the number of all, and the title of the last."""


def build(
    storage: Storage,
    home: Path,
    *,
    full: bool = False,
    limit: int | None = None,
    progress: Progress | None = None,
    processes: int = PROCESSES,
) -> Iterator[RecordingRecord]:
    """Engrave, render and upload the house catalog; yields each recording once its content is stored.

    Work done before is found in `<home>/cache/house`; what the storage already holds is not uploaded
    again.  A kill at any point loses at most the piece in the making.  Pieces that cannot be read are
    left out and named in the log.  Raises `NotFoundError` where scores or SoundFont are missing, or
    where the choice is empty.
    """
    pieces = repertoire.choose(full=full, limit=limit)
    if not pieces:
        raise NotFoundError("The house catalog is empty.", remedy="Ask for at least one piece.", code="empty-catalog")
    soundfont.find()
    folder = home / "cache" / "house"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(".part-*"):
        stale.unlink()
    stored = {*storage.keys("audio/"), *storage.keys("midi/")}
    with _Engravers(folder, processes, stored) as engravers, ThreadPoolExecutor(4) as uploads:
        pending: list[tuple[Piece, Engraved, list[Future[None]]]] = []
        done = 0
        for piece, engraved in engravers.run(pieces):
            pending.append((piece, engraved, _upload(storage, folder, engraved, stored, uploads)))
            while pending and (len(pending) > 8 or all(upload.done() for upload in pending[0][2])):
                done += 1
                yield from _finished(*pending.pop(0), done=done, total=len(pieces), progress=progress)
        for entry in pending:
            done += 1
            yield from _finished(*entry, done=done, total=len(pieces), progress=progress)


def _finished(
    piece: Piece,
    engraved: Engraved,
    uploads: Sequence[Future[None]],
    *,
    done: int,
    total: int,
    progress: Progress | None,
) -> Iterator[RecordingRecord]:
    for upload in uploads:
        upload.result()
    if engraved.refused:
        log.info("left out: %s", engraved.refused)
    yield from records(piece, engraved)
    if progress is not None:
        progress(done, total, piece.title)


class _Engravers:
    """Worker processes that engrave what the cache does not hold, in the order of the pieces."""

    def __init__(self, folder: Path, processes: int, stored: set[str]) -> None:
        self.folder, self.processes, self.stored = folder, processes, stored
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def run(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Engraved]]:
        ready: list[Engraved | Future[Engraved]] = []
        for piece in pieces:
            key = cache_key(piece)
            found = kept(self.folder, key)
            ready.append(found if found and self._whole(found) else self._start(piece, key))
        for piece, one in zip(pieces, ready, strict=True):
            yield piece, one.result() if isinstance(one, Future) else one

    def _whole(self, engraved: Engraved) -> bool:
        """Whether sound and score are still in the storage or in the cache: sound is kept only until stored."""
        return all(
            f"{kind}/{digest}{ending}" in self.stored or (self.folder / f"{digest}{ending}").is_file()
            for take in engraved.takes
            for kind, digest, ending in _contents(take)
        )

    def _start(self, piece: Piece, key: str) -> Future[Engraved]:
        if self.pool is None:
            # Forking a process with threads (uploads, the caller's own) can hang; spawning cannot.
            context = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(self.processes, mp_context=context, initializer=prepare)
        return self.pool.submit(engrave, piece, self.folder, key)


def _contents(take: Take) -> tuple[tuple[str, str, str], ...]:
    return (("audio", take.audio_sha256, ".flac"), ("midi", take.midi_sha256, ".mid"))


def _upload(
    storage: Storage, folder: Path, engraved: Engraved, stored: set[str], uploads: ThreadPoolExecutor
) -> list[Future[None]]:
    """Start storing what is not stored yet.  Sound leaves the cache once it is: it is large."""

    def put(key: str, path: Path, content_type: str) -> None:
        storage.put(key, path.read_bytes(), content_type)
        if path.suffix == ".flac":
            path.unlink(missing_ok=True)

    started = []
    for take in engraved.takes:
        for kind, digest, ending in _contents(take):
            key, path = f"{kind}/{digest}{ending}", folder / f"{digest}{ending}"
            if key not in stored:
                stored.add(key)
                started.append(uploads.submit(put, key, path, "audio/flac" if ending == ".flac" else "audio/midi"))
            elif ending == ".flac":
                path.unlink(missing_ok=True)
    return started


def records(piece: Piece, engraved: Engraved) -> Iterator[RecordingRecord]:
    """The catalog's records of an engraved piece."""
    work = named_id("house", "work", piece.name)
    group = piece.source
    for take in engraved.takes:
        recording = named_id("house", "recording", piece.name, str(take.section))
        title = take.title or piece.title
        cut = "" if take.complete else f" (bars {take.bars[0]}–{take.bars[1]})"
        yield RecordingRecord(
            id=recording,
            isrc=f"{ISRC_PREFIX}{piece.number * repertoire.MAX_SECTIONS + take.section:05d}",
            title=title + cut,
            work_id=work,
            work_title=title,
            iswc=work_number(piece.number),
            composer=piece.composer,
            style=piece.style,
            collection=piece.collection,
            region=piece.region,
            year=piece.year,
            period=PERIODS.get(group.name, ""),
            tempo=take.tempo,
            key=take.key,
            time_signature=take.time_signature,
            instruments=take.instruments,
            duration_ms=take.duration_ms,
            midi_sha256=take.midi_sha256,
            audio_sha256=take.audio_sha256,
            loudness_lufs=take.loudness_lufs,
            peaks=take.peaks,
            shares=cast.shares(recording, work, piece.style),
            source=SourceRecord(
                name=f"music21 corpus: {piece.name}", license=group.license, free=group.free, note=group.note
            ),
        )


def work_number(number: int) -> str:
    """The ISWC of the work at this place of the whole list, with its check digit."""
    digits = f"{ISWC_PREFIX}{number:08d}"
    return iswc(f"T{digits}{iswc_check(digits)}")


def licenses() -> tuple[corpus.Group, ...]:
    """Every source of the house catalog with what it allows."""
    return corpus.GROUPS
