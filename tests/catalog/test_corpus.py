"""The register of licenses: complete, and true to what the files themselves say."""

from __future__ import annotations

import re
import zipfile
from functools import cache
from pathlib import Path

import pytest

from stemma.catalog import corpus, repertoire
from stemma.errors import NotFoundError

RESERVED = re.compile(
    r"all rights reserved|rights to all derivative|non-?commercial|by-sa|sa-by|general public license", re.IGNORECASE
)
FREE = re.compile(r"PDF ©|public domain|cc0|cc-by\)|used by permission", re.IGNORECASE)


@cache
def notice(path: str) -> str:
    """What a file says of its rights: the fields of its format that speak of them."""
    data = (corpus.folder() / path).read_bytes()
    if path.endswith(".mxl"):
        with zipfile.ZipFile(corpus.folder() / path) as packed:
            name = next(n for n in packed.namelist() if "META-INF" not in n and n.endswith(("xml", "musicxml")))
            data = packed.read(name)
    text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "replace")
    if path.endswith(".krn"):
        return "\n".join(re.findall(r"(?m)^!!!(?:YE\w|YOR):.*$", text))
    if path.endswith(".abc"):
        return "\n".join(re.findall(r"(?m)^%.*$", text))
    found = re.findall(r"<rights[^>]*>(.*?)</rights>|<credit-words[^>]*>([^<]*)<", text, re.DOTALL)
    return "\n".join(a or b for a, b in found)


def paths(*, free: bool) -> list[str]:
    chosen = repertoire.choose()
    return sorted({piece.path for piece in chosen if piece.source.free is free})


def test_every_piece_has_a_license_note():
    for piece in repertoire.everything():
        group = piece.source
        assert group.license
        assert group.free or group.note, f"{group.name} is not free and does not say why"


def test_a_file_nobody_looked_at_has_none():
    with pytest.raises(NotFoundError, match="license note"):
        corpus.group("bartok/unread.xml")


def test_free_files_state_no_restriction():
    for path in paths(free=True):
        assert not RESERVED.search(notice(path)), path
        if sign := re.search(r"©[^\n]*|copyright[^\n]*", notice(path), re.IGNORECASE):
            # A sign of copyright, where there is one, stands beside a license, a permission or an old date.
            assert FREE.search(notice(path)) or re.search(r"1[5-9]\d\d", sign[0]), (path, sign[0])


def test_words_quoted_as_the_files_own_are_in_the_files():
    for group in corpus.GROUPS:
        for quoted in re.findall(r"The files? says?: “(.+?)”", group.note):
            example = next(path for piece in repertoire.everything() for path in [piece.path] if piece.source is group)
            said = " ".join(notice(example).split())
            assert quoted.rstrip(".") in said, (group.name, quoted, said[:300])


def test_what_the_package_says_has_not_changed():
    folder: Path = corpus.folder()
    assert "may not be used for commercial uses" in (folder / "license.txt").read_text()
    assert "non-commercial distribution and use" in (folder / "essenFolksong" / "license.txt").read_text()
    assert not corpus.group("essenFolksong/han1.abc").free
    assert not corpus.group("palestrina/Agnus_00.krn").free
