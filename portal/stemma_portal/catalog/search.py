"""Finding recordings among a million, in lists that are ordered by title and paged by key.

What can be asked for stands in one vector per recording (`Entry`): words, codes, and marks for whose
it is and what it has.  There is no one plan that is fast for rare and for common words, so a search
goes from the cheap to the sure:

1. Where the database's statistics say that many match, it walks on in the order of titles, as far as a
   page is likely to need and twice: what many have is found there.
2. Else it takes all that the index finds, if that is at most ten thousand, and sorts it.
3. Only what is more than that and not near in the order is sorted in full.

Statistics may be wrong: each way says when it has not found enough, and the next one is gone.

Entries are derived.  The database notes which are behind (`Stale`); a search renews a few itself, a
task renews the many that an import leaves.
"""

# ruff: noqa: S608 - statements are put together from our own parts; every value is a parameter

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection, transaction

from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.models import Recording
from stemma_portal.core.fields import is_id
from stemma_portal.design.paging import Page

FEW = 5_000
"""Results up to which the index is asked at once."""
NEAR, FAR = 500, 10_000
"""Recordings that a search walks in the order of titles, at least and at most."""
MOST = 10_000
"""Results that are counted and sorted exactly; of more, the number is an estimate."""
AT_ONCE = 500
"""Entries that a reader renews; more are left to the task."""
TERMS = 8
PREFIX = 3
"""Letters from which on the beginning of a word finds it."""

ENTRIES = """
INSERT INTO catalog_entry (recording_id, title_key, search)
SELECT r.id, left(catalog_fold(r.title), 200), array_to_tsvector(array_remove(array_remove(
    catalog_words(concat_ws(' ', r.title, r.artist, r.collection, r.reference, w.composer,
                            nullif(w.title, r.title), l.title, nullif(l.artist, r.artist)))
    || ARRAY[lower(r.isrc), lower(w.iswc), l.upc,
             left(regexp_replace(catalog_fold(r.reference), '[^[:alnum:]]', '', 'g'), 64),
             '#s=' || r.style, coalesce('#o=' || r.organisation_id, '#house'), '#r=' || r.release_id,
             CASE WHEN r.audio_sha256 = '' THEN '#silent' ELSE '#sound' END,
             CASE WHEN r.source_free THEN '#free' ELSE '#bound' END,
             CASE WHEN r.taken_down_at IS NULL THEN '#up' ELSE '#down' END]
    || ARRAY(SELECT DISTINCT '#p=' || s.party_id FROM catalog_share s WHERE s.recording_id = r.id),
    NULL), ''))
FROM catalog_recording r JOIN catalog_work w ON w.id = r.work_id LEFT JOIN catalog_release l ON l.id = r.release_id
{where}
ON CONFLICT (recording_id) DO UPDATE SET title_key = excluded.title_key, search = excluded.search
"""


@dataclass(frozen=True)
class Found:
    """A page of recordings, and how many there are in all."""

    page: Page[Recording]
    total: int
    exact: bool
    """Otherwise the total is what the database guesses from its statistics."""
    waiting: int
    """Recordings that were just brought or changed, and join the search within moments."""


def entries_refresh(*, most: int, wait: bool = True) -> int:
    """Renew up to `most` entries that are behind; how many were.

    One at a time, so that nobody writes an entry from what was before another's change.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        name = "SELECT pg_advisory_xact_lock(7201)" if wait else "SELECT pg_try_advisory_xact_lock(7201)"
        cursor.execute(name)
        if not wait and not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            "DELETE FROM catalog_stale WHERE id IN (SELECT id FROM catalog_stale ORDER BY id LIMIT %s)"
            " RETURNING recording_id",
            [most],
        )
        rows = cursor.fetchall()
        if rows:
            cursor.execute(ENTRIES.format(where="WHERE r.id = ANY(%s::uuid[])"), [list({row[0] for row in rows})])
        return len(rows)


def visible_marks(user: User) -> tuple[str, ...] | None:
    """Marks of which one is on everything that the user may see; None: they may see all.

    The same rule as `selectors.recordings_visible`.
    """
    if is_staff(user) or user.memberships.filter(organisation__kind=Organisation.Kind.ENTERPRISE).exists():
        return None
    brought = [f"#o={each}" for each in user.memberships.values_list("organisation_id", flat=True)]
    return (*brought, *(f"#p={party}" for party in sorted(parties_of(user))))


def find(
    *,
    user: User,
    wanted: Mapping[str, Any],
    query: Mapping[str, str],
    everything: bool | None = None,
    among: Sequence[str] | None = None,
    size: int = 25,
) -> Found:
    """A page of what a user may see of what is wanted, ordered by title.

    `wanted` may name `q`, `style`, `source`, `sound`, `state`, `release` and `organisation`; `among`
    allows only these recordings.  `query` says where the page begins (`after`, `before`).  `everything`
    tells that the caller has looked already whether the user is staff, who may see all.
    """
    waiting = _renew()
    asked = _tsquery(None if everything else visible_marks(user), wanted)
    search = _Search(asked, None if among is None else list(among))
    backwards = "before" in query
    anchor = _anchor(query.get("before" if backwards else "after"))
    keys, count = search.page(anchor, backwards=backwards, size=size)
    more, keys = len(keys) > size, keys[:size]
    if backwards:
        keys.reverse()
    before, after = (more, anchor is not None) if backwards else (anchor is not None, more)
    rows = Recording.objects.select_related("work").defer(
        "source_license", "source_note", "reservation", "instruments", "work__publishing"
    )
    known = {row.id: row for row in rows.filter(id__in=keys)}
    items = [known[key] for key in keys if key in known]
    total, exact = (count, True) if count is not None else search.total()
    return Found(
        page=Page(
            items=items,
            previous=items[0].id if items and before else None,
            next=items[-1].id if items and after else None,
        ),
        total=total,
        exact=exact,
        waiting=waiting,
    )


def styles() -> list[str]:
    """Every repertoire of the catalog, without looking at each recording."""
    with connection.cursor() as cursor:
        cursor.execute("""
            WITH RECURSIVE found(style) AS (
                SELECT min(style) FROM catalog_recording
                UNION ALL
                SELECT (SELECT min(style) FROM catalog_recording r WHERE r.style > found.style) FROM found
                WHERE found.style IS NOT NULL
            ) SELECT style FROM found WHERE style <> ''""")
        return [row[0] for row in cursor.fetchall()]


def _renew() -> int:
    """Renew what is behind, where it is little; how many stay behind."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM (SELECT 1 FROM catalog_stale LIMIT %s) AS few", [MOST + 1])
        behind: int = cursor.fetchone()[0]
    if not behind:
        return 0
    return behind - entries_refresh(most=AT_ONCE, wait=False)


def _anchor(identifier: str | None) -> tuple[str, str] | None:
    """The place in the order where a page begins; the start for what is not there."""
    if not identifier or not is_id(identifier):
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT title_key, recording_id FROM catalog_entry WHERE recording_id = %s", [identifier])
        found: tuple[str, str] | None = cursor.fetchone()
    return found


_TAGS = {
    "source": {"free": "#free", "not-free": "#bound"},
    "sound": {"yes": "#sound", "no": "#silent"},
    "state": {"up": "#up", "down": "#down"},
}


def _tsquery(visible: Iterable[str] | None, wanted: Mapping[str, Any]) -> str:
    """What is asked of the vectors; empty: everything."""
    terms = [] if visible is None else [" | ".join(f"'{mark}'" for mark in visible) or "'#nobody'"]
    terms += [f"'{marks[value]}'" for name, marks in _TAGS.items() if (value := wanted.get(name)) in marks]
    if re.fullmatch(r"[a-z][a-z-]*", style := str(wanted.get("style") or "")):
        terms.append(f"'#s={style}'")
    for name, mark in (("release", "r"), ("organisation", "o")):
        if is_id(value := str(wanted.get(name) or "")):
            terms.append(f"'#{mark}={value}'")
    terms += _words(str(wanted.get("q") or ""))
    return " & ".join(f"({term})" for term in terms)


def _words(text: str) -> list[str]:
    """A term for each word; what is written with marks between is also looked for as one code."""
    chunks = [chunk for chunk in text.replace("\x00", " ").split() if any(c.isalnum() for c in chunk)][:TERMS]
    if not chunks:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT catalog_words(chunk) FROM unnest(%s::text[]) WITH ORDINALITY AS c(chunk, n)", [chunks])
        split = [row[0] for row in cursor.fetchall()]
    terms = []
    for words in split:
        parts = " & ".join(_word(word) for word in words)
        code = "".join(words)[:64]
        terms.append(f"({parts}) | {_word(code)}" if len(words) > 1 else parts)
    return [term for term in terms if term]


def _word(word: str) -> str:
    return f"'{word}':*" if len(word) >= PREFIX else f"'{word}'"


def _about(number: int) -> int:
    """A guess to two digits: it is no more exact than that."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return round(number / unit) * unit


class _Search:
    """One question to the entries."""

    def __init__(self, asked: str, among: list[str] | None) -> None:
        self._asked = asked
        self._among = among

    def page(self, anchor: Any, *, backwards: bool, size: int) -> tuple[list[str], int | None]:
        """Keys from the anchor on, one more than asked for if there are, and the total where it fell off."""
        sign, way = ("<", "DESC") if backwards else (">", "ASC")
        order = f"ORDER BY title_key {way}, recording_id {way}"
        after = f"(title_key, recording_id) {sign} (%s, %s)" if anchor else "TRUE"
        place = list(anchor or ())
        if self._among is not None:
            return self._sorted(f"recording_id = ANY(%s::uuid[]) AND {self._matches()}", order, after, place, size)
        if not self._asked:
            return self._near(order, after, place, size, size + 1), None
        many = self.guess > FEW
        if many and len(found := self._near(order, after, place, size, self._reach(size))) > size:
            return found, None
        keys, total = self._sorted("search @@ %s::tsquery", order, after, place, size)
        if total is not None:
            return keys, total
        if not many and len(found := self._near(order, after, place, size, FAR)) > size:
            return found, None
        whole = "SELECT title_key, recording_id FROM catalog_entry WHERE search @@ %s::tsquery"
        sorted_ = f"WITH found AS MATERIALIZED ({whole}) SELECT recording_id FROM found WHERE {after} {order} LIMIT %s"
        return self._keys(sorted_, [self._asked, *place, size + 1]), None

    def total(self) -> tuple[int, bool]:
        """How many there are where they were not counted on the way, and whether that is exact."""
        if self._asked:
            return _about(max(self.guess, FEW + 1)), False
        if self.guess > MOST:
            return _about(self.guess), False
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM (SELECT 1 FROM catalog_entry LIMIT %s) AS counted", [MOST + 1])
            count: int = cursor.fetchone()[0]
        return (count, True) if count <= MOST else (_about(count), False)

    @cached_property
    def guess(self) -> int:
        """How many match, by the statistics that the database keeps."""
        where = " WHERE search @@ %s::tsquery" if self._asked else ""
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM catalog_entry{where}", self._question())
            rows: int = cursor.fetchone()[0][0]["Plan"]["Plan Rows"]
        return rows

    def _reach(self, size: int) -> int:
        """How far to walk for a page if what matches is spread evenly, and as far again."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'catalog_entry'::regclass")
            entries: float = cursor.fetchone()[0]
        return int(min(FAR, max(NEAR, 2 * (size + 1) * entries / self.guess)))

    def _near(self, order: str, after: str, place: list[Any], size: int, reach: int) -> list[str]:
        """What matches among the next entries in the order of titles."""
        near = f"SELECT * FROM catalog_entry WHERE {after} {order} LIMIT %s"
        sql = f"SELECT recording_id FROM ({near}) AS near WHERE {self._matches()} {order} LIMIT %s"
        return self._keys(sql, [*place, reach, *self._question(), size + 1])

    def _sorted(self, where: str, order: str, after: str, place: list[Any], size: int) -> tuple[list[str], int | None]:
        """The page out of all that match, sorted; no total and no keys where they are too many."""
        sql = f"""
            WITH found AS MATERIALIZED (SELECT title_key, recording_id FROM catalog_entry WHERE {where} LIMIT %s),
                 shown AS (SELECT recording_id FROM found WHERE {after} {order} LIMIT %s)
            SELECT (SELECT count(*) FROM found), ARRAY(SELECT recording_id FROM shown)"""
        given = [self._among] if self._among is not None else []
        with connection.cursor() as cursor:
            cursor.execute(sql, [*given, *self._question(), MOST + 1, *place, size + 1])
            count, keys = cursor.fetchone()
        if count > MOST and self._among is None:
            return [], None
        return [str(key) for key in keys], count

    def _matches(self) -> str:
        """The test of one vector, written so that no index is thought of."""
        return "ts_match_vq(search, %s::tsquery)" if self._asked else "TRUE"

    def _question(self) -> list[str]:
        return [self._asked] if self._asked else []

    @staticmethod
    def _keys(sql: str, values: list[Any]) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return [str(row[0]) for row in cursor.fetchall()]
