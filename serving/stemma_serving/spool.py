"""Facts on local disk before anything leaves, in files that are shipped and removed later.

A writer appends lines to a segment of its own, `<id>.open`, and holds a lock on it as long as it
lives.  Full or old segments are closed by renaming them `<id>.ready`.  A segment whose lock is free
was left by a writer that died: it is adopted as it is, without a last line that was never finished
and so never acknowledged.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from stemma.errors import UnavailableError
from stemma.ids import new_id
from stemma_serving.config import SpoolConfig
from stemma_serving.files import sync_folder


class SpoolFullError(UnavailableError):
    """The disk does not take a fact, so nothing may leave."""

    code = "spool-full"


def _full(error: OSError | None = None) -> SpoolFullError:
    why = f" ({error.strerror})" if error is not None else ""
    return SpoolFullError(
        f"The disk of serving cannot record the use{why}, so nothing is generated.",
        remedy="Try again later; the operator must free space for the spool.",
    )


CHECK_SECONDS = 0.2
"""For how long there is still space where there was."""


class Journal:
    """The segments of one writer in one folder.  Not for several threads at once."""

    def __init__(self, folder: Path, config: SpoolConfig) -> None:
        self.folder, self._config = folder, config
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptor: int | None = None
        self._size = 0
        self._since = 0.0
        self._checked = -CHECK_SECONDS
        self._name = ""

    def check(self) -> None:
        """Raise `SpoolFullError` when less space is left than is to be kept free."""
        if time.monotonic() - self._checked < CHECK_SECONDS:
            return
        if shutil.disk_usage(self.folder).free < self._config.reserve_bytes:
            raise _full()
        self._checked = time.monotonic()

    def append(self, lines: list[bytes]) -> None:
        """Put lines on disk; when this returns they outlast a power cut.

        Raises `SpoolFullError` when the disk does not take them; then none of them is there.
        """
        try:
            descriptor = self._open()
            data = b"".join(line + b"\n" for line in lines)
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
            os.fdatasync(descriptor)
        except OSError as error:
            self._take_back()
            raise _full(error) from error
        self._size += len(data)
        if self._size >= self._config.segment_bytes:
            self.close()
        else:
            self.close_old()

    def close_old(self) -> None:
        """Close the segment when it is old enough to be shipped."""
        if self._size and time.monotonic() - self._since >= self._config.segment_seconds:
            self.close()

    def close(self) -> None:
        """Hand the segment over for shipping; the next line begins a new one."""
        if self._descriptor is None:
            return
        path = self.folder / f"{self._name}.open"
        if self._size:
            path.replace(path.with_suffix(".ready"))
        else:
            path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None
        sync_folder(self.folder)

    def _open(self) -> int:
        if self._descriptor is None:
            self._name = new_id()
            hidden = self.folder / f".{self._name}"
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            # Locked before it gets its name, so that nobody adopts it.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            hidden.replace(self.folder / f"{self._name}.open")
            sync_folder(self.folder)
            self._descriptor, self._size, self._since = descriptor, 0, time.monotonic()
        elif self._size == 0:
            self._since = time.monotonic()
        return self._descriptor

    def _take_back(self) -> None:
        """Remove what a failed append left.  A disk that refuses even that ends this process's writing."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, self._size)


GATHER_SECONDS = 0.002
"""How long the first line of a batch waits for others."""


class Commits:
    """Appends for many callers at once: lines that come together share one sync of the disk.

    `observe` is told the seconds that each batch took.
    """

    def __init__(self, journal: Journal, observe: Callable[[float], None] = lambda _: None) -> None:
        self._journal, self._observe = journal, observe
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._running = False

    async def commit(self, line: bytes) -> None:
        """Returns when the line is on disk.  Raises `SpoolFullError`.

        A caller that is cancelled does not take its line back.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((line, future))
        if not self._running:
            self._running = True
            self._task = asyncio.ensure_future(self._drain())
        await future

    async def tick(self) -> None:
        """Close the segment when it is time; called now and then."""
        if not self._running:
            self._journal.close_old()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                start = time.monotonic()
                await asyncio.sleep(GATHER_SECONDS)
                batch, self._waiting = self._waiting, []
                error: Exception | None = None
                try:
                    await loop.run_in_executor(None, self._journal.append, [line for line, _ in batch])
                except Exception as caught:  # noqa: BLE001 - every waiter must learn of it
                    error = caught
                self._observe(time.monotonic() - start)
                for _, future in batch:
                    if future.done():
                        continue
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)
        finally:
            self._running = False


def segments(folder: Path) -> Iterator[Path]:
    """Segments that can be shipped: closed ones, and those of writers that are gone; oldest first."""
    for path in sorted(folder.glob("*.open")):
        _adopt(path)
    yield from sorted(folder.glob("*.ready"))


def lines(segment: Path) -> list[bytes]:
    """The finished lines of a segment."""
    return [line for line in segment.read_bytes().split(b"\n")[:-1] if line]


def _adopt(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.replace(path.with_suffix(".ready"))
    except (BlockingIOError, FileNotFoundError):
        return  # its writer lives, or somebody was faster
    finally:
        os.close(descriptor)
