"""Names that a reader would take for one that is known here, although they are written with other letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

from django.db import connection

from stemma.catalog.text import alike, skeleton
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.intake.models import Import

SAID = """
FROM intake_importrow AS given, LATERAL (
    SELECT 'artist' AS field, given.record->>'artist' AS name
    UNION ALL SELECT 'composer', given.record->>'composer'
    UNION ALL SELECT 'release_artist', given.record->'release'->>'artist'
    UNION ALL SELECT 'shares', share->'party'->>'name'
        FROM jsonb_array_elements(coalesce(given.record->'shares', '[]')) AS share
) AS said
WHERE given.batch_id = %(batch)s AND given.verdict = '' AND said.name <> ''
"""
"""Every name that rows not yet judged say, and where."""

TELL = f"""
UPDATE intake_importrow AS row SET problems = row.problems || told.problems
FROM (
    SELECT given.id, jsonb_agg(DISTINCT jsonb_build_array(
        said.field, said.name, 'homograph', %(why)s::jsonb ->> said.name, 'warning')) AS problems
    {SAID} AND said.name = ANY(%(names)s)
      AND NOT given.problems @> jsonb_build_array(jsonb_build_array(said.field, said.name, 'homograph'))
    GROUP BY given.id
) AS told
WHERE row.id = told.id
"""  # noqa: S608 - both parts are written above


def tell_lookalikes(batch: Import) -> None:
    """Warn of names that look like another in the file or in the platform's catalog, and name both.

    The names in the file are kept in memory, those known here pass by.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT said.name {SAID}", {"batch": batch.id})
        brought = [name for (name,) in cursor.fetchall()]
        if why := _alike(brought):
            cursor.execute(TELL, {"batch": batch.id, "why": json.dumps(why), "names": list(why)})


def _alike(brought: list[str]) -> dict[str, str]:
    by_look: dict[str, list[str]] = {}
    for name in brought:
        by_look.setdefault(skeleton(name), []).append(name)
    found: dict[str, str] = {}
    for other in chain(brought, _known(foreign=all(map(str.isascii, brought)))):
        for name in by_look.get(skeleton(other), ()):
            if name not in found and alike(name, other):
                found[name] = (
                    f"“{name}” looks like “{other}”, which is written with other letters: correct it if they are "
                    "the same, or go on if this is meant."
                )
    return found


def _known(*, foreign: bool) -> Iterator[str]:
    """Names of artists and parties; with `foreign`, those alone that are not plain ASCII."""
    for rows, field in ((Party.objects, "name"), (Recording.objects, "artist")):
        names = rows.order_by().values_list(field, flat=True)
        yield from (names.filter(**{f"{field}__regex": "[^ -~]"}) if foreign else names).distinct().iterator()
