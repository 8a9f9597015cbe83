"""Recordings that may be one and the same: found by reasons, decided by people, remembered.

A reason (`Likeness`) decides nothing.  Somebody looks at both, listens, and merges them into a cluster,
whose canonical member alone is in snapshots, or separates them, which holds for every later reason too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from stemma.errors import InvalidError, NotFoundError
from stemma.ids import new_id, now
from stemma.music.likeness import SAME_SOUND, bit_error, jaccard, score_sketch, sound_sketch
from stemma.storage import storage
from stemma_portal.catalog.models import Asset, Cluster, Likeness, Print, Recording
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit

SAME_SCORE = 0.7
"""Share of n-grams that two scores must have in common."""
TELLS = {
    "isrc": "They carry the same ISRC, which names one recording in the world.",
    "audio": "Their sound is the same file, byte for byte.",
    "fingerprint": "Their sound is nearly the same to the ear, by its fingerprint.",
    "score": "Their scores hold nearly the same notes, in whatever key.",
}
"""What each reason says, by kind."""
CANDIDATES = 50
FEWEST = 2
"""Members of a sketch that must be shared before two sounds are compared."""
CHUNK = 200
PAIRS = 5_000


def likeness_find(recording: Recording) -> list[Likeness]:
    """Look for everything that may be the same as this recording; the reasons that are new.

    Called when its sound or score arrives, and for all by a sweep.
    """
    sketches = _sketches(recording)
    reasons = [
        *_equal(recording, "isrc", Likeness.Kind.ISRC),
        *_equal(recording, "audio_sha256", Likeness.Kind.AUDIO),
        *_sounds(recording, sketches),
        *_scores(recording, sketches),
    ]
    return _note(reasons)


def likeness_equal(*, most: int = PAIRS) -> int:
    """Note recordings with the same ISRC or the same file, over the whole catalog at once; how many reasons are new.

    Of many that are equal each is paired with the first, so that a thousand copies are a thousand pairs.
    """
    made = 0
    for field, kind in (("isrc", Likeness.Kind.ISRC), ("audio_sha256", Likeness.Kind.AUDIO)):
        sql = f"""
            SELECT one, other, value FROM (
                SELECT first_value(id) OVER same AS one, id AS other, {field} AS value
                FROM catalog_recording WHERE {field} IN (
                    SELECT {field} FROM catalog_recording WHERE {field} <> '' GROUP BY 1 HAVING count(*) > 1
                ) WINDOW same AS (PARTITION BY {field} ORDER BY id)
            ) AS pairs
            WHERE one <> other AND NOT EXISTS (
                SELECT 1 FROM catalog_likeness l
                WHERE l.one_id = pairs.one AND l.other_id = pairs.other AND l.kind = %s
            ) ORDER BY one, other LIMIT %s"""  # noqa: S608 - a column of ours
        with connection.cursor() as cursor:
            cursor.execute(sql, [kind, most])
            rows = cursor.fetchall()
        made += len(_note((str(one), str(other), kind, 1.0, {field: value}) for one, other, value in rows))
    return made


def likeness_sweep(*, most: int = CHUNK) -> int:
    """Look at recordings that nobody has looked at since their sound or score came; how many they were."""
    fresh = Recording.objects.filter(print=None).exclude(audio_sha256="", midi_sha256="")
    rows = list(fresh.order_by("id")[:most])
    for row in rows:
        likeness_find(row)
    return len(rows)


@transaction.atomic
def likeness_merge(
    *, likeness: Likeness, by: Actor, canonical: str | None = None, consented: Collection[str] = ()
) -> Cluster:
    """Let two recordings, and whatever each was merged with before, be one.

    The canonical one is the one named, or else by this order: not taken down, complete, consented (as
    the caller knows), with a free source, the earliest.  Merging again changes nothing.  Raises
    `ConflictError` where two of them were separated by somebody.
    """
    lock("clusters")
    members = _members(likeness)
    ids = [member.id for member in members]
    pairs = Likeness.objects.filter(one__in=ids, other__in=ids)
    if apart := pairs.filter(state=Likeness.State.SEPARATE).select_related("one", "other").first():
        raise ConflictError(
            f"“{apart.one.title}” and “{apart.other.title}” were separated by {apart.decided_by}.",
            remedy="Take that back first, on their page, if they are the same after all.",
        )
    if canonical is not None and canonical not in ids:
        raise InvalidError("The one to stand for all is none of them.", remedy="Choose one of them.")
    first = min(members, key=lambda each: _rank(each, consented))
    chosen = canonical or first.id
    old = {member.cluster_id for member in members if member.cluster_id}
    if len(old) == 1 and len({member.cluster_id for member in members}) == 1:
        cluster = Cluster.objects.get(id=old.pop())
        if canonical is None or cluster.canonical_id == canonical:
            return cluster
        Cluster.objects.filter(id=cluster.id).update(canonical=canonical)
        cluster.refresh_from_db()
    else:
        cluster = Cluster.objects.create(canonical_id=chosen)
        Recording.objects.filter(id__in=ids).update(cluster=cluster)
        Cluster.objects.filter(id__in=old).delete()
    pairs.filter(state=Likeness.State.OPEN).update(state=Likeness.State.MERGED, decided_at=now(), decided_by=by.email)
    audit(by=by, action="likeness.merge", subject=cluster.id, canonical=cluster.canonical_id, recordings=sorted(ids))
    return cluster


@transaction.atomic
def likeness_separate(*, likeness: Likeness, by: Actor) -> None:
    """Say that two recordings are not the same; this holds for every reason, also later ones.

    Where they were merged, the one that does not stand for the others leaves; what it has in common with
    the rest is open again.  Separating again changes nothing.
    """
    lock("clusters")
    one, other = Recording.objects.filter(id__in=(likeness.one_id, likeness.other_id)).select_related("cluster")
    rows = _pair(likeness)
    if not rows.exclude(state=Likeness.State.SEPARATE).exists():
        return
    if one.cluster_id and one.cluster_id == other.cluster_id:
        cluster = one.cluster
        leaves = one if cluster.canonical_id != one.id else other
        rest = list(cluster.recordings.exclude(id=leaves.id).values_list("id", flat=True))
        Recording.objects.filter(id=leaves.id).update(cluster=None)
        again = Q(one=leaves.id, other__in=rest) | Q(other=leaves.id, one__in=rest)
        Likeness.objects.filter(again, state=Likeness.State.MERGED).update(
            state=Likeness.State.OPEN, decided_at=None, decided_by=""
        )
        if len(rest) < 2:
            cluster.delete()
    rows.update(state=Likeness.State.SEPARATE, decided_at=now(), decided_by=by.email)
    audit(by=by, action="likeness.separate", subject=likeness.id, recordings=sorted((one.id, other.id)))


@transaction.atomic
def likeness_reopen(*, likeness: Likeness, by: Actor) -> None:
    """Take a separation back: the question is open again."""
    lock("clusters")
    changed = _pair(likeness).filter(state=Likeness.State.SEPARATE)
    if changed.update(state=Likeness.State.OPEN, decided_at=None, decided_by=""):
        audit(by=by, action="likeness.reopen", subject=likeness.id)


def reasons_of(likeness: Likeness) -> list[Likeness]:
    """Every reason for the same two recordings, the strongest first."""
    return list(_pair(likeness).order_by("-score", "kind"))


def _pair(likeness: Likeness) -> QuerySet[Likeness]:
    return Likeness.objects.filter(one=likeness.one_id, other=likeness.other_id)


def _members(likeness: Likeness) -> list[Recording]:
    two = list(Recording.objects.filter(id__in=(likeness.one_id, likeness.other_id)))
    clusters = [each.cluster_id for each in two if each.cluster_id]
    more = Recording.objects.filter(cluster__in=clusters).exclude(id__in=[each.id for each in two])
    return [*two, *more] if clusters else two


def _rank(recording: Recording, consented: Collection[str]) -> tuple[Any, ...]:
    return (
        recording.taken_down_at is not None,
        bool(recording.lacking),
        bool(recording.lacking_of_score),
        recording.id not in consented,
        not recording.source_free,
        recording.created_at,
        recording.id,
    )


def _sketches(recording: Recording) -> Print:
    """What the recording is found by, computed where its sound or score has changed."""
    held = Print.objects.filter(recording=recording).first() or Print(recording=recording)
    asset = (
        Asset.objects.filter(recording=recording, kind=Asset.Kind.AUDIO, fingerprint__isnull=False)
        .order_by("-at", "-id")
        .first()
    )
    fingerprint = bytes(asset.fingerprint) if asset is not None and asset.fingerprint else b""
    if held.fingerprint is None or bytes(held.fingerprint) != fingerprint:
        held.fingerprint, held.sound = fingerprint, sound_sketch(fingerprint)
    if held.midi_sha256 != recording.midi_sha256:
        held.midi_sha256, held.score = recording.midi_sha256, _score(recording)
    held.save()
    return held


def _score(recording: Recording) -> list[int]:
    try:
        return score_sketch(storage().get(recording.midi_key)) if recording.midi_key else []
    except (NotFoundError, InvalidError):
        return []  # told where it is brought; nothing can be compared


Reason = tuple[str, str, str, float, dict[str, Any]]
"""One, other, kind, score, detail."""


def _equal(recording: Recording, field: str, kind: Likeness.Kind) -> Iterable[Reason]:
    value = getattr(recording, field)
    if value:
        same = Recording.objects.filter(**{field: value}).exclude(id=recording.id).order_by("id")
        for other in same.values_list("id", flat=True)[:CANDIDATES]:
            yield recording.id, other, kind, 1.0, {field: value}


def _sounds(recording: Recording, held: Print) -> Iterable[Reason]:
    for other, _ in _candidates("sound", held, fewest=FEWEST):
        error = bit_error(bytes(held.fingerprint or b""), bytes(other.fingerprint or b""))
        if error is not None and error <= SAME_SOUND:
            detail = {"bit_error": round(error, 4), "limit": SAME_SOUND}
            yield recording.id, other.recording_id, Likeness.Kind.FINGERPRINT, 1 - 2 * error, detail


def _scores(recording: Recording, held: Print) -> Iterable[Reason]:
    for other, _ in _candidates("score", held, fewest=max(1, len(held.score) // 4)):
        share = jaccard(held.score, other.score)
        if share >= SAME_SCORE:
            detail = {"shared": round(share, 4), "limit": SAME_SCORE}
            yield recording.id, other.recording_id, Likeness.Kind.SCORE, share, detail


def _candidates(name: str, held: Print, *, fewest: int) -> list[tuple[Print, int]]:
    """Recordings whose sketch shares the most members, through the index over the members."""
    sketch = getattr(held, name)
    if not sketch:
        return []
    sql = f"""
        SELECT recording_id, shared FROM (
            SELECT recording_id, (SELECT count(*) FROM unnest({name}) AS m WHERE m = ANY(%s::int[])) AS shared
            FROM catalog_print WHERE {name} && %s::int[] AND recording_id <> %s
        ) AS found WHERE shared >= %s ORDER BY shared DESC, recording_id LIMIT %s"""  # noqa: S608 - a column of ours
    with connection.cursor() as cursor:
        cursor.execute(sql, [sketch, sketch, held.recording_id, fewest, CANDIDATES])
        counts = {str(row[0]): row[1] for row in cursor.fetchall()}
    return [(each, counts[each.recording_id]) for each in Print.objects.filter(recording__in=list(counts))]


def _note(reasons: Iterable[Reason]) -> list[Likeness]:
    """Write new reasons down; of two recordings that were decided about, as they were decided."""
    ordered = [(min(one, other), max(one, other), kind, score, detail) for one, other, kind, score, detail in reasons]
    if not ordered:
        return []
    with transaction.atomic():
        lock("clusters")
        ids = {each for row in ordered for each in row[:2]}
        known = list(Likeness.objects.filter(one__in=ids, other__in=ids))
        there = {(row.one_id, row.other_id, row.kind) for row in known}
        apart = {(row.one_id, row.other_id): row for row in known if row.state == Likeness.State.SEPARATE}
        clusters = dict(Recording.objects.filter(id__in=ids).values_list("id", "cluster_id"))
        made = []
        for one, other, kind, score, detail in ordered:
            if (one, other, kind) in there:
                continue
            row = Likeness(
                id=new_id(), one_id=one, other_id=other, kind=kind, score=score, detail=detail, found_at=now()
            )
            if before := apart.get((one, other)):
                row.state, row.decided_at, row.decided_by = before.state, before.decided_at, before.decided_by
            elif clusters[one] and clusters[one] == clusters[other]:
                row.state, row.decided_at = Likeness.State.MERGED, row.found_at
            made.append(row)
        return Likeness.objects.bulk_create(made)
