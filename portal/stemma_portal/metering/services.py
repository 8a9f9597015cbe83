"""Facts come in from the lake: each once, whatever is repeated, late, out of order or broken."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import models, transaction

from stemma.errors import InvalidError, NotFoundError
from stemma.music.likeness import sound_sketch
from stemma.proof.canonical import sha256
from stemma.royalties.facts import COMMONS, AttributionFact, UsageFact
from stemma.storage import Storage, storage
from stemma_portal.core.db import lock
from stemma_portal.core.services import Fact as LogFact
from stemma_portal.core.services import log_append_all
from stemma_portal.metering.models import (
    Attribution,
    Certificate,
    FactConflict,
    FactObject,
    Generation,
    GenerationShare,
)
from stemma_portal.metering.reading import Issued, attribution_facts, certificate_facts, usage_facts

log = logging.getLogger(__name__)

Fact = UsageFact | AttributionFact | Issued
AnyFact = TypeVar("AnyFact", UsageFact, AttributionFact, Issued)
Item = TypeVar("Item")
LATELY, RECENT = timedelta(minutes=30), timedelta(days=2)
"""How far back the looks of every few seconds and of every minute go; the whole lake is listed on demand and before
a period closes."""
BATCH = 5_000


@dataclass
class Ingestion:
    """What one look into the lake found."""

    objects: int = 0
    taken: int = 0
    repeated: int = 0
    conflicts: int = 0
    quarantined: list[str] = field(default_factory=list)

    def add(self, seen: FactObject) -> None:
        """Count one object in."""
        self.objects += 1
        self.taken += seen.taken
        self.repeated += seen.repeated
        self.conflicts += seen.conflicts
        if seen.state == FactObject.State.QUARANTINED:
            self.quarantined.append(seen.key)


def facts_ingest(*, since: timedelta | None = None, lake: Storage | None = None) -> Ingestion:
    """Take every new object of facts into the database, each in a transaction of its own.

    It lists the whole lake, or with `since` only the days of facts that are no older.  Usage goes first,
    so that most attributions find their generation.  An object that cannot be read is set aside with
    its reason and stops no other.  Raises `UnavailableError` when the lake does not answer: what was
    taken until then stays taken.
    """
    lake = lake or storage()
    found = Ingestion()
    for kind in FactObject.Kind:
        for key in _new_keys(lake, kind, since):
            if (seen := _object_ingest(lake=lake, key=key, kind=kind)) is not None:
                found.add(seen)
    if found.objects:
        log.info("%s objects: %s facts taken, %s known, %s in conflict, %s set aside",
                 found.objects, found.taken, found.repeated, found.conflicts, len(found.quarantined))  # fmt: skip
    return found


def quarantine_release(*, key: str) -> None:
    """Forget that an object could not be read, so that the next ingestion tries it again."""
    released, _ = FactObject.objects.filter(key=key, state=FactObject.State.QUARANTINED).delete()
    if not released:
        raise NotFoundError(f"No object {key} is set aside.")


def _new_keys(lake: Storage, kind: FactObject.Kind, since: timedelta | None) -> list[str]:
    prefixes = [f"{kind}/"]
    if since is not None:
        moment = datetime.now(UTC)
        first, last = (moment - since).date(), (moment + min(since, timedelta(days=1))).date()  # clocks differ
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        prefixes = [f"{kind}/day={day}/" for day in days]
    keys = [key for prefix in prefixes for key in lake.keys(prefix) if key.endswith(".parquet")]
    known = set()
    for some in _batches(keys):
        known.update(FactObject.objects.filter(key__in=some).values_list("key", flat=True))
    return [key for key in keys if key not in known]


def _object_ingest(*, lake: Storage, key: str, kind: FactObject.Kind) -> FactObject | None:
    """Take one object in; None when another ingestion has taken it, or it has gone since."""
    try:
        body = lake.get(key)
    except NotFoundError:
        return None
    try:
        facts: Sequence[Any] = READ[kind](body)
        reason = ""
    except InvalidError as error:
        facts, reason = [], error.message
        log.warning("%s is set aside: %s", key, reason)

    with transaction.atomic():
        lock("metering.ingest")
        seen, fresh = FactObject.objects.get_or_create(
            key=key,
            defaults={
                "kind": kind,
                "state": FactObject.State.QUARANTINED if reason else FactObject.State.TAKEN,
                "sha256": sha256(body),
            },
        )
        if not fresh:
            return None
        seen.rows, seen.reason = len(facts), reason
        for some in _batches(facts):
            TAKE[kind](some, seen)
        seen.save()
    return seen


def _usage_take(facts: Sequence[tuple[UsageFact, str]], source: FactObject) -> None:
    stands = Generation.objects.filter(pk__in=[fact.id for fact, _ in facts]).values_list("pk", "digest")
    fresh = _sift(facts, {str(pk): mark for pk, mark in stands}, ("id",), source)
    Generation.objects.bulk_create(
        Generation(
            license_id=fact.license,
            licensee_id=fact.licensee,
            source=source,
            digest=mark,
            **fact.model_dump(exclude={"license", "licensee"}),
        )
        for fact, mark in fresh
    )


def _attribution_take(facts: Sequence[tuple[AttributionFact, str]], source: FactObject) -> None:
    """A generation is attributed once: a second fact about it is a conflict, whatever its identifier."""
    same = models.Q(pk__in=[fact.id for fact, _ in facts])
    same |= models.Q(generation__in=[fact.generation for fact, _ in facts])
    known = {}
    for pk, generation, mark in Attribution.objects.filter(same).values_list("pk", "generation_id", "digest"):
        known[str(pk)] = known[str(generation)] = mark
    fresh = _sift(facts, known, ("id", "generation"), source)
    Attribution.objects.bulk_create(
        Attribution(
            generation_id=fact.generation,
            source=source,
            digest=mark,
            **fact.model_dump(exclude={"generation", "shares", "intervals"}),
        )
        for fact, mark in fresh
    )
    GenerationShare.objects.bulk_create(
        (
            GenerationShare(
                generation_id=fact.generation,
                recording_id=None if name == COMMONS else name,
                ppb=ppb,
                low=low,
                high=high,
            )
            for fact, _ in fresh
            for name, ppb in sorted(fact.shares.items(), key=lambda share: (-share[1], share[0]))
            for low, high in [fact.interval(name)]
            if ppb > 0 or fact.intervals
        ),
        batch_size=BATCH,
    )


def _certificate_take(facts: Sequence[tuple[Issued, str]], source: FactObject) -> None:
    """Certificates go into the log, all of an object at one moment, in the transaction that takes them."""
    stands = Certificate.objects.filter(generation__in=[fact.id for fact, _ in facts], version=1)
    known = {str(generation): mark for generation, mark in stands.values_list("generation_id", "digest")}
    fresh = _sift(facts, known, ("id",), source)
    marks = [sha256(fact.certificate.encode()) for fact, _ in fresh]
    entries = log_append_all(
        facts=[LogFact("certificate", fact.id, mark) for (fact, _), mark in zip(fresh, marks, strict=True)]
    )
    Certificate.objects.bulk_create(
        Certificate(
            generation_id=fact.id,
            version=1,
            licensee_id=fact.said.licensee,
            license_id=fact.said.license,
            at=fact.at,
            token=fact.certificate,
            sha256=mark,
            pcm_sha256=fact.said.pcm_sha256,
            midi_sha256=fact.said.midi_sha256,
            sketch=sound_sketch(base64.b64decode(fact.said.fingerprint)),
            entry_id=entry.id,
            source=source,
            digest=own,
        )
        for (fact, own), mark, entry in zip(fresh, marks, entries, strict=True)
    )


def _sift(
    facts: Iterable[tuple[AnyFact, str]], known: dict[str, str], names: tuple[str, ...], source: FactObject
) -> list[tuple[AnyFact, str]]:
    """The facts that are known by none of their `names`.  Others are counted as repeated, or kept as conflicts."""
    fresh = []
    for fact, mark in facts:
        own = [getattr(fact, name) for name in names]
        stands = next((known[name] for name in own if name in known), None)
        if stands is None:
            known.update(dict.fromkeys(own, mark))
            source.taken += 1
            fresh.append((fact, mark))
        elif stands == mark:
            source.repeated += 1
        else:
            source.conflicts += 1
            _conflict_record(fact=fact, mark=mark, source=source)
    return fresh


def _conflict_record(*, fact: Fact, mark: str, source: FactObject) -> None:
    log.warning("%s of %s says otherwise than the fact that stands", fact.id, source.key)
    FactConflict.objects.get_or_create(
        fact=fact.id,
        digest=mark,
        defaults={"kind": source.kind, "source": source, "body": fact.model_dump(mode="json")},
    )


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


READ = {
    FactObject.Kind.USAGE: usage_facts,
    FactObject.Kind.ATTRIBUTION: attribution_facts,
    FactObject.Kind.CERTIFICATE: certificate_facts,
}
TAKE = {
    FactObject.Kind.USAGE: _usage_take,
    FactObject.Kind.ATTRIBUTION: _attribution_take,
    FactObject.Kind.CERTIFICATE: _certificate_take,
}
