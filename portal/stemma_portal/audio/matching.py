"""Whose sound a file is: by its ISRC, by the name that the catalog gave it, by the sender's number, by its title.

Each way is asked only where the one before finds nothing; one that finds several recordings is no
answer, and somebody has to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from django.db.models import CharField, Func, QuerySet, Value
from django.db.models.functions import Left, Lower

from stemma.catalog.tags import title_of
from stemma.errors import InvalidError
from stemma.rights.identifiers import isrc
from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.models import Recording

_ISRC = re.compile(r"(?<![A-Z0-9])([A-Z]{2}-?[A-Z0-9]{3}-?\d{2}-?\d{5})(?![A-Z0-9])")
LONGEST = 100


class Match(NamedTuple):
    """The recording, and by what it was found."""

    recording: Recording
    by: str


def match(*, organisation: Organisation, name: str, tags: Mapping[str, str]) -> Match | None:
    """The one recording of the organisation that a file of this name and with these tags belongs to."""
    own = Recording.objects.filter(organisation=organisation)
    for by, found in _ways(own, name, tags):
        rows = list(found[:2])
        if len(rows) == 1:
            return Match(rows[0], by)
        if rows:
            return None
    return None


def _ways(own: QuerySet[Recording], name: str, tags: Mapping[str, str]) -> Iterator[tuple[str, QuerySet[Recording]]]:
    stem = PurePosixPath(name).stem
    for code in filter(None, (_isrc(tags.get("isrc", "")), _isrc_in(stem))):
        yield "isrc", own.filter(isrc=code)
    named = own.exclude(audio_file="").annotate(file=Lower("audio_file"))
    yield "file", named.filter(file=name.lower())
    # A master may be brought as another format than was announced.
    endings = ("wav", "flac", "mp3", "aif", "aiff", "ogg", "opus", "mid", "midi", "musicxml", "mxl", "xml")
    yield "file", named.filter(file__in=[f"{stem}.{ending}".lower() for ending in endings])
    yield "reference", own.filter(reference=stem[:LONGEST])
    title = tags.get("title") or title_of(name)
    artist = tags.get("artist", "")
    key = Func(Value(title), function="catalog_fold", output_field=CharField())
    alike = own.filter(entry__title_key=Left(key, 200))
    if artist:
        yield "title", alike.filter(artist__iexact=artist)
    yield "title", alike


def _isrc(text: str) -> str:
    try:
        return isrc(text) if text else ""
    except InvalidError:
        return ""


def _isrc_in(stem: str) -> str:
    found = _ISRC.search(stem.upper())
    return _isrc(found[1]) if found else ""
