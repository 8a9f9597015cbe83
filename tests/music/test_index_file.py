"""Files that pieces are held against: the same bytes for the same content, mapped, larger than memory if need be."""

from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from stemma.errors import InvalidError
from stemma.music import index_file
from stemma.music.index_file import Growing

pytestmark = pytest.mark.unit

FORM = "stemma.some/1"
MANY = 100_000_000
"""Bytes."""


def arrays() -> dict[str, np.ndarray]:
    return {
        "small": np.arange(5, dtype=np.uint8),
        "wide": np.arange(-3, 9, dtype=np.int64),
        "none": np.zeros((0, 24), dtype=np.uint8),
        "table": np.arange(12, dtype=np.uint32).reshape(3, 4),
    }


def read(path):
    return index_file.read(path, FORM, "works", "is no such file", lambda *parts: parts)


def test_what_is_written_is_read_and_the_same_content_has_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        index_file.write(tmp_path / name, FORM, ["a", "å"], "works", arrays())
    content = (tmp_path / "one").read_bytes()
    assert (tmp_path / "other").read_bytes() == content
    names, found, digest = read(tmp_path / "one")
    assert (names, digest) == (["a", "å"], hashlib.sha256(content).hexdigest())
    for told in (found, load_file(tmp_path / "one")):  # ours, and anybody's who reads safetensors
        assert told.keys() == arrays().keys()
        for name, expected in arrays().items():
            assert told[name].dtype == expected.dtype
            np.testing.assert_array_equal(told[name], expected)


def test_files_that_safetensors_wrote_are_read(tmp_path):
    """As those of releases from before."""
    save_file(arrays(), tmp_path / "old", metadata={"form": FORM, "works": '["a"]'})
    names, found, _ = read(tmp_path / "old")
    assert names == ["a"]
    for name, expected in arrays().items():
        np.testing.assert_array_equal(found[name], expected)


def test_reading_and_writing_take_no_memory_for_what_is_in_the_file(tmp_path):
    large = Growing(np.uint8, 1000)
    row = np.random.default_rng(1).integers(0, 256, size=(1000, 1000), dtype=np.uint8)
    tracemalloc.start()
    try:
        for _ in range(MANY // row.size):
            large.add(row)
        index_file.write(tmp_path / "large", FORM, ["a"], "works", {"rows": large.whole()})
        _, found, _ = read(tmp_path / "large")
        np.testing.assert_array_equal(found["rows"][-5:], row[-5:])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "large").stat().st_size > MANY
    assert most < MANY / 20


def test_arrays_cannot_be_changed(tmp_path):
    index_file.write(tmp_path / "one", FORM, [], "works", arrays())
    with pytest.raises(ValueError, match="read-only"):
        read(tmp_path / "one")[1]["wide"][0] = 1


def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path):
    index_file.write(tmp_path / "one", FORM, ["a"], "works", arrays())
    before = (tmp_path / "one").read_bytes()
    with pytest.raises(InvalidError, match="names of 3 works do not fit"):
        index_file.write(tmp_path / "one", FORM, ["a" * 40_000_000] * 3, "works", arrays())
    assert [p.name for p in tmp_path.iterdir()] == ["one"]
    assert (tmp_path / "one").read_bytes() == before


def broken() -> dict[str, bytes]:
    """Contents that are no such file, each for its own reason."""
    header = (
        b'{"__metadata__":{"form":"stemma.some/1","works":"[]"},"a":{"dtype":"%s","shape":[%d],"data_offsets":[0,8]}}'
    )

    def made(kind: bytes = b"I64", count: int = 1, data: bytes = b"12345678") -> bytes:
        said = header % (kind, count)
        return len(said).to_bytes(8, "little") + said + data

    return {
        "empty": b"",
        "no header": b"\xff" * 100,
        "cut off": made(data=b"1234"),
        "longer than told": made(data=b"123456789"),
        "of another shape": made(count=1 << 60),
        "no integers": made(kind=b"F64"),
    }


@pytest.mark.parametrize("how", broken())
def test_what_is_none_is_refused(tmp_path, how):
    (tmp_path / "x").write_bytes(broken()[how])
    with pytest.raises(InvalidError, match="x is no such file"):
        read(tmp_path / "x")


def test_a_file_of_another_form_or_of_other_things_is_refused(tmp_path):
    index_file.write(tmp_path / "x", "stemma.other/1", [], "works", arrays())
    with pytest.raises(InvalidError, match=r"its form is 'stemma.other/1'"):
        read(tmp_path / "x")
    index_file.write(tmp_path / "x", FORM, [], "recordings", arrays())
    with pytest.raises(InvalidError, match="no such file"):
        read(tmp_path / "x")
