"""Files of arrays that lie in the bundle of a release, for its pieces to be held against.

They are safetensors, and may be larger than memory: what is read of one is mapped, so that only those pages are fetched
that are looked at, and what is written may be mapped, too.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from stemma.errors import InvalidError

HEADER = 100_000_000
"""Bytes of a header, in which the names stand, that readers of safetensors take: some two million names."""
Arrays = Mapping[str, npt.NDArray[Any]]
Made = TypeVar("Made")


class Growing:
    """An array that grows at its end, on disk: in a file without a name, which goes when nobody needs it any more."""

    def __init__(self, dtype: npt.DTypeLike, *row: int, folder: Path | None = None) -> None:
        """Of rows of this shape; `folder`: where it lies, else where temporary files do."""
        self._dtype, self._row, self._count = np.dtype(dtype), row, 0
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as this
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self._count

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Lay rows at the end."""
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._count += len(rows)

    def whole(self) -> npt.NDArray[Any]:
        """All rows so far, mapped: to be read only."""
        shape = (self._count, *self._row)
        if not self._count:
            return np.zeros(shape, self._dtype)
        self._file.flush()
        return _array(_mapped(self._file.fileno()), self._dtype, shape, 0)


def write(path: Path, form: str, names: Sequence[str], of: str, arrays: Arrays) -> None:
    """Write a file of this form: its arrays of integers, and the names of `of`, such as `works`, whose they are.

    The same content makes the same bytes, and a file that was begun never stands in the place of a whole one.
    Raises `InvalidError` for more names than a header holds.
    """
    # Wide numbers first, so that all lie where a processor reads them at once.
    ordered = sorted(arrays.items(), key=lambda each: (-each[1].itemsize, each[0]))
    header: dict[str, Any] = {"__metadata__": {"form": form, of: json.dumps(names)}}
    end = 0
    for name, array in ordered:
        kind = f"{array.dtype.kind.upper()}{8 * array.itemsize}"
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    said = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    said += b" " * (-len(said) % 8)
    if len(said) > HEADER:
        raise InvalidError(
            f"The names of {len(names)} {of} do not fit into {path.name}.",
            remedy="Train on fewer, in several releases.",
        )
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(len(said).to_bytes(8, "little") + said)
            for _, array in ordered:
                np.asarray(array, dtype=array.dtype.newbyteorder("<")).tofile(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path, form: str, of: str, otherwise: str, make: Callable[[list[str], Arrays, str], Made]) -> Made:
    """What `make` makes of the names, the arrays and the SHA-256 of a file that `write` wrote.

    Arrays are mapped: the file must stay as it is.  Its hash is taken of all of it, block by block.
    Raises `InvalidError`, which says `otherwise` of the file, where it is none of this form or `make` lacks something.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:  # which sees that every array lies in the file, without gaps
            said = file.metadata() or {}
            parts = [(name, file.get_slice(name)) for name in file.offset_keys()]
            shapes = {name: (_dtype(part.get_dtype()), tuple(part.get_shape())) for name, part in parts}
        if said.get("form") != form:
            raise ValueError(f"its form is {said.get('form')!r}")
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            mapped = _mapped(opened.fileno())
        place = 8 + int.from_bytes(mapped[:8], "little")
        arrays = {}
        for name, (dtype, shape) in shapes.items():
            arrays[name] = _array(mapped, dtype, shape, place)
            place += arrays[name].nbytes
        return make(json.loads(said[of]), arrays, digest)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InvalidError(f"{path.name} {otherwise}: {error}.", remedy="Fetch it again.") from error


def _dtype(kind: str) -> np.dtype[Any]:
    """The type of integers that safetensors call `U32`."""
    if not (found := re.fullmatch(r"([IU])(8|16|32|64)", kind)):
        raise ValueError(f"{kind} are no integers")
    return np.dtype(f"<{found[1].lower()}{int(found[2]) // 8}")


def _mapped(file: int) -> mmap.mmap:
    """A file as memory, to be read here and there: no page is fetched because another was."""
    mapped = mmap.mmap(file, os.fstat(file).st_size, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def _array(mapped: mmap.mmap, dtype: np.dtype[Any], shape: tuple[int, ...], place: int) -> npt.NDArray[Any]:
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(mapped, dtype, count, place).reshape(shape) if count else np.zeros(shape, dtype)
