"""Bringing a released model from the portal: in parts, as often broken off as one likes, whole or not at all.

A folder appears in its place when every file has the hash that the signed statement gives and the statement
is signed by a key that is known; until then its parts wait beside it, in `FOLDER.part`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
from pydantic import BaseModel, Field, ValidationError

from stemma.errors import InvalidError, ProofError, StemmaError, UnavailableError
from stemma.proof.keys import Jwks
from stemma.provenance import release as whole
from stemma.provenance.release import STATEMENT, file_sha256, read_statement
from stemma.provenance.statement import ReleaseStatement

TRIES = 6
"""How often a file is gone on with when nothing more has come since the last try."""
CHUNK = 1 << 20
UNFINISHED = ".unfinished"
"""Ending of a file whose bytes have not all come."""

Ask = Callable[[Sequence[str] | None], Mapping[str, Any]]
"""Asks the portal for addresses, of all files or of these: `POST releases/{name}/{version}/downloads`."""
Progress = Callable[[str, int, int], None]
"""Told the file, bytes of all files that are here, and bytes in all."""


class Offered(BaseModel):
    """A file that the portal offers."""

    path: str = Field(min_length=1, max_length=300)
    bytes: int = Field(ge=0)
    url: str


class Offer(BaseModel):
    """What the portal answers."""

    files: list[Offered] = Field(min_length=1, max_length=10_000)


def bring(
    release: str,
    folder: Path,
    ask: Ask,
    keys: Jwks,
    *,
    verify: Callable[[Path, Jwks], ReleaseStatement] = whole.verify,
    progress: Progress = lambda _file, _done, _total: None,
    pause: Callable[[float], None] = time.sleep,
) -> ReleaseStatement:
    """The statement of a release that lies in a folder, whole and verified; what lies there already is verified again.

    Raises `ProofError` for anything that is not what was signed, `UnavailableError` when storage stops
    answering (call it again: it goes on where it stopped) and `InvalidError` when it has no room.
    """
    if folder.exists():
        return _same(verify(folder, keys), release, folder)
    part = folder.with_name(folder.name + ".part")
    files = {file.path: file for file in _offer(ask(None)).files}
    _sweep(part, files)
    if STATEMENT not in files:
        raise ProofError(f"{release} is offered without its {STATEMENT}.", code="unsigned")
    total = sum(file.bytes for file in files.values())
    here = sum(_size(part / path) + _size(_unfinished(part / path)) for path in files)
    if (free := shutil.disk_usage(part).free) < total - here:
        raise InvalidError(
            f"{release} needs {(total - here) / 1e6:,.0f} MB more, and {part.parent} has {free / 1e6:,.0f} MB.",
            remedy="Make room, or give another folder with --to.",
            code="no-room",
        )
    came = 0
    stated: Mapping[str, str] = {}
    with httpx.Client(timeout=httpx.Timeout(30, connect=5)) as http:
        for path in sorted(files, key=lambda name: (name != STATEMENT, name)):
            target = part / path

            def told(bytes_here: int, path: str = path, before: int = came) -> None:
                progress(path, before + bytes_here, total)

            if not (target.exists() and _holds(target, stated.get(path))):
                target.unlink(missing_ok=True)
                _fetch(http, files[path], target, lambda path=path: _offer(ask([path])).files[0].url, told, pause)  # type: ignore[misc]
                _accept(target, stated.get(path))
            came += files[path].bytes
            told(0, path, came)
            if path == STATEMENT:
                stated = _same(read_statement(target.read_text(), keys), release, part).files
                if missing := sorted(stated.keys() - files.keys()):
                    raise ProofError(f"{release} is offered without {', '.join(missing[:3])}.", code="altered")
    statement = _same(verify(part, keys), release, part)
    part.replace(folder)
    return statement


def _offer(answer: Mapping[str, Any]) -> Offer:
    try:
        return Offer.model_validate(answer)
    except ValidationError as error:
        raise UnavailableError("The portal's offer is not whole.", remedy="Try again in a minute.") from error


def _same(statement: ReleaseStatement, release: str, folder: Path) -> ReleaseStatement:
    if statement.id != release:
        raise ProofError(
            f"In {folder} lies {statement.id}, not {release}.",
            remedy="Give another folder with --to.",
            code="other-release",
        )
    return statement


def _sweep(part: Path, files: Mapping[str, Offered]) -> None:
    """Make the folder of parts, without what does not belong to the release; names that lead out are refused."""
    for path in files:
        pure = PurePosixPath(path)
        odd = pure.is_absolute() or ".." in pure.parts or "\\" in path or "\x00" in path or path.endswith(UNFINISHED)
        if odd or pure.as_posix() != path:
            raise ProofError(f"The offer holds a path that leads outside: {path[:80]!r}.", code="altered")
    part.mkdir(parents=True, exist_ok=True)
    known = {part / path for path in files} | {_unfinished(part / path) for path in files}
    for found in part.rglob("*"):
        if found.is_symlink() or (found.is_file() and found not in known):
            found.unlink()


def _unfinished(target: Path) -> Path:
    return target.with_name(target.name + UNFINISHED)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _holds(target: Path, digest: str | None) -> bool:
    return digest is not None and file_sha256(target) == digest


def _fetch(
    http: httpx.Client,
    file: Offered,
    target: Path,
    again: Callable[[], str],
    told: Callable[[int], None],
    pause: Callable[[float], None],
) -> None:
    """Every byte of a file, from where the last call stopped; addresses that have expired are asked for anew."""
    waiting, url = _unfinished(target), file.url
    target.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    while True:
        before = _size(waiting)
        why = ""
        try:
            status = _go_on(http, url, waiting, file.bytes, told)
        except OSError as error:
            raise StemmaError(
                f"{waiting} cannot be written: {error.strerror}.", remedy="Make room, then call it again."
            ) from error
        except httpx.HTTPError as error:
            status, why = 0, type(error).__name__
        if _size(waiting) == file.bytes and status in {200, 206, 416}:
            waiting.replace(target)
            return
        failed = 0 if _size(waiting) > before else failed + 1
        if failed >= TRIES:
            raise UnavailableError(
                f"Object storage does not give {file.path} ({why or status}).",
                remedy="Call it again: it goes on where it stopped.",
            )
        if status in {401, 403}:
            url = again()
        pause(min(30.0, 0.5 * 2**failed) if failed else 0)


def _go_on(http: httpx.Client, url: str, waiting: Path, size: int, told: Callable[[int], None]) -> int:
    """Ask for what is missing and write it; the status of the answer."""
    here = _size(waiting)
    if here > size:
        waiting.unlink()
        here = 0
    if here == size and waiting.exists():
        return 206
    headers = {"Range": f"bytes={here}-", "Accept-Encoding": "identity"} if here else {"Accept-Encoding": "identity"}
    with http.stream("GET", url, headers=headers) as answer:
        if answer.status_code not in {200, 206}:
            return answer.status_code
        begins = answer.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if answer.status_code == 206 and begins != str(here):
            with suppress(FileNotFoundError):
                waiting.unlink()
            return 0
        # A storage that knows no ranges sends all of it from the beginning.
        with waiting.open("ab" if answer.status_code == 206 else "wb") as out:
            for chunk in answer.iter_raw(CHUNK):
                if out.tell() + len(chunk) > size:
                    raise ProofError(f"{waiting.name} is larger than was offered.", code="altered")
                out.write(chunk)
                told(out.tell())
    return answer.status_code


def _accept(target: Path, digest: str | None) -> None:
    """A file with another hash than the statement gives is thrown away at once."""
    if digest is None:
        return
    if (found := file_sha256(target)) != digest:
        target.unlink()
        raise ProofError(
            f"{target.name} came with SHA-256 {found[:16]}…, and the statement gives {digest[:16]}….",
            remedy="Call it again; if it stays so, tell the licensor.",
            code="altered",
        )
