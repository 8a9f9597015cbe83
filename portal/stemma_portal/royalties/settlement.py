"""Which generations a period settles, on what evidence, and what that comes to.

Everything here only reads.  A period that is open, one that is being closed and one that was closed
years ago go through the same functions, so that the estimate, the statement and the auditor's
recomputation can differ only in what they are given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from stemma.errors import NotFoundError
from stemma.ids import timestamp
from stemma.proof.canonical import sha256
from stemma.rights.covenant import AnyCovenant
from stemma.rights.months import month_starts
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest
from stemma.royalties.allocation import Allocation, allocate
from stemma.royalties.facts import ATTRIBUTION_SCHEMA, COMMONS, USAGE_SCHEMA, from_parquet
from stemma.royalties.lake import Facts
from stemma.royalties.pools import Subscription
from stemma.storage import Storage
from stemma_portal.consent.models import Ruling
from stemma_portal.licensing.models import CovenantVersion, License
from stemma_portal.licensing.selectors import covenant_at
from stemma_portal.metering.models import Generation
from stemma_portal.royalties.models import Period, Settled

PARALLEL = 16
"""Objects fetched at once."""


class Basis(NamedTuple):
    """One generation as it is settled, and the objects of the lake that tell of it."""

    generation: str
    usage_key: str
    attribution: str | None
    """The fact that says who shaped it; None where the commons stands for it."""
    attribution_key: str | None
    late: bool


class Candidate(NamedTuple):
    """A generation that no period has settled yet."""

    generation: str
    at: datetime
    license: str
    tier: str
    covenant: str
    snapshot: str
    usage_key: str
    ingested: datetime
    attribution: str | None
    attribution_key: str | None

    def basis(self, period: Period) -> Basis:
        """What it would be settled on."""
        late = self.at < period.starts
        return Basis(self.generation, self.usage_key, self.attribution, self.attribution_key, late)


@dataclass(frozen=True)
class Settlement:
    """What a period settles."""

    bases: list[Basis]
    waiting: dict[str, int]
    """Generations that are not settled yet, counted by why."""
    subscriptions: list[Subscription]
    current: str | None
    """Snapshot whose works get the money of licenses that generated nothing."""
    snapshots: dict[str, str]
    """Merkle root of every snapshot whose works were paid, by its identifier."""
    objects: dict[str, str]
    """SHA-256 of every object that was read, by its key."""
    allocation: Allocation
    rulings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By recording: the shares that a resolved case put above those of snapshots taken before it."""


def settlement_find(*, period: Period, ends: datetime, now: datetime, lake: Storage) -> Settlement:
    """What the period settles if it ends at `ends`, with the facts that have come until now.

    A generation is settled once its attribution is here.  One whose attribution has not come a whole
    period after its usage fact is settled through the commons: its creators are paid all the same.
    One that names terms or a snapshot nobody knows waits until they are known.
    """
    covenants = covenants_of(currency=period.currency)
    found = _candidates(ends=ends, covenants=covenants)
    current = snapshot_current(lake)
    manifests, missing = _manifests({candidate.snapshot for candidate in found} | ({current} - {None}), lake)
    unknown = {candidate.license for candidate in found} - set(
        License.objects.in_bulk([candidate.license for candidate in found])
    )
    waiting: Counter[str] = Counter()
    billable = []
    for candidate in found:
        if (reason := _unbillable(candidate, covenants, unknown, missing)) is not None:
            waiting[reason] += 1
        else:
            billable.append(candidate)
    facts, objects = evidence_read(bases=[candidate.basis(period) for candidate in billable], lake=lake)
    strangers = _strangers(facts, manifests)
    settled = []
    for candidate in billable:
        basis = candidate.basis(period)
        if basis.attribution is not None and basis.generation not in strangers:
            settled.append(basis)
        elif candidate.ingested < period.starts:
            settled.append(basis._replace(attribution=None, attribution_key=None))
        else:
            waiting["attribution"] += 1
    return _settle(
        bases=settled,
        waiting=dict(sorted(waiting.items())),
        subscriptions=subscriptions_due(currency=period.currency, starts=period.starts, ends=min(ends, now)),
        covenants=covenants,
        current=current,
        facts=_only(facts, settled),
        objects=objects,
        manifests=manifests,
        rulings=rulings_in_force(),
    )


def settlement_recall(*, period: Period, lake: Storage) -> Settlement:
    """What a closed period settled, computed afresh from its document, its list of generations and the lake."""
    rows = Settled.objects.filter(period=period).values_list(
        "generation_id", "generation__source__key", "generation__attribution__pk",
        "generation__attribution__source__key", "late", "basis",
    )  # fmt: skip
    bases = [
        Basis(generation, usage, attribution, key, late)
        if basis == Settled.Basis.ATTRIBUTION
        else Basis(generation, usage, None, None, late)
        for generation, usage, attribution, key, late, basis in rows.order_by("generation_id")
    ]
    facts, objects = evidence_read(bases=bases, lake=lake)
    current = period.document["current"]
    manifests, _ = _manifests({*facts.usage["snapshot"].unique().to_pylist(), current} - {None}, lake)
    return _settle(
        bases=bases,
        waiting=period.document["waiting"],
        subscriptions=[Subscription(**given) for given in period.document["subscriptions"]],
        covenants=covenants_of(currency=period.currency),
        current=current,
        facts=facts,
        objects=objects,
        manifests=manifests,
        rulings=period.document.get("rulings", {}),
    )


def evidence_read(*, bases: Sequence[Basis], lake: Storage) -> tuple[Facts, dict[str, str]]:
    """The facts that stand for these generations, each once, and the hashes of the objects they were read from."""
    usage: dict[str, set[str]] = defaultdict(set)
    attribution: dict[str, set[str]] = defaultdict(set)
    for basis in bases:
        usage[basis.usage_key].add(basis.generation)
        if basis.attribution is not None and basis.attribution_key is not None:
            attribution[basis.attribution_key].add(basis.attribution)
    hashes: dict[str, str] = {}

    def read(key: str, wanted: set[str], schema: pa.Schema) -> pa.Table:
        body = lake.get(key)
        hashes[key] = sha256(body)
        table = from_parquet(body, schema, key)
        return table.filter(pc.is_in(table["id"], pa.array(sorted(wanted))))

    with ThreadPoolExecutor(PARALLEL) as pool:
        uses = list(pool.map(lambda item: read(*item, USAGE_SCHEMA), sorted(usage.items())))
        shapes = list(pool.map(lambda item: read(*item, ATTRIBUTION_SCHEMA), sorted(attribution.items())))
    facts = Facts(
        usage=_first_of_each(pa.concat_tables([USAGE_SCHEMA.empty_table(), *uses])),
        attribution=pa.concat_tables([ATTRIBUTION_SCHEMA.empty_table(), *shapes])
        .group_by(ATTRIBUTION_SCHEMA.names)
        .aggregate([])
        .cast(ATTRIBUTION_SCHEMA),
    )
    return facts, hashes


def subscriptions_due(*, currency: str, starts: datetime, ends: datetime) -> list[Subscription]:
    """Licenses of this currency and how many of their monthly fees fall due from `starts` to before `ends`.

    The fee of a license's month falls due when that month begins; so periods that follow one another bill
    every month once, however they cut the year.  Each is billed under the terms that the license held at that
    moment.
    """
    due = []
    licenses = (
        License.objects.select_related("covenant")
        .prefetch_related("acceptances")
        .filter(covenant__document__currency=currency, not_before__lt=ends, expires_at__gt=starts)
    )
    for license_ in licenses.order_by("pk"):
        until = min(license_.expires_at, license_.revoked_at or license_.expires_at)
        months = Counter(
            covenant_at(license_=license_, moment=moment)
            for moment in month_starts(license_.not_before.astimezone(UTC), ends)
            if starts <= moment < min(ends, until)
        )
        due.extend(
            Subscription(
                license=license_.pk,
                licensee=str(license_.organisation_id),
                tier=license_.tier,
                covenant=covenant,
                months=count,
                seats=license_.seats,
            )
            for covenant, count in months.items()
        )
    return due


def covenants_of(*, currency: str) -> dict[str, AnyCovenant]:
    """The covenants that are priced in this currency, by digest."""
    versions = CovenantVersion.objects.filter(document__currency=currency)
    return {version.digest: version.covenant() for version in versions}


def snapshot_current(lake: Storage) -> str | None:
    """The snapshot of the release that serving serves; None before there is one."""
    try:
        release = lake.get_json("releases/production.json")["release"]
        return str(lake.get_json(f"releases/{release}/stemma.json")["snapshot"])
    except NotFoundError:
        return None


def _settle(
    *,
    bases: list[Basis],
    waiting: dict[str, int],
    subscriptions: list[Subscription],
    covenants: Mapping[str, AnyCovenant],
    current: str | None,
    facts: Facts,
    objects: Mapping[str, str],
    manifests: Mapping[str, Manifest],
    rulings: Mapping[str, dict[str, Any]],
) -> Settlement:
    """Who gets what for these generations, from these facts."""
    used = {*facts.usage["snapshot"].unique().to_pylist(), current} - {None}
    if missing := used - manifests.keys():
        raise NotFoundError(f"Object storage holds no manifest of snapshot {', '.join(sorted(missing))}.")
    applied = {
        recording.recording
        for snapshot in used
        for recording in manifests[snapshot].recordings
        if _overrides(rulings.get(recording.recording), manifests[snapshot])
    }
    ruled = {recording: rulings[recording] for recording in sorted(applied)}
    return Settlement(
        bases=bases,
        waiting=waiting,
        subscriptions=subscriptions,
        current=current,
        snapshots={snapshot: manifests[snapshot].root for snapshot in sorted(used)},
        objects=_named_by(bases, objects),
        allocation=allocate(
            facts=facts,
            subscriptions=subscriptions,
            covenants=covenants,
            manifests={snapshot: _ruled(manifest, ruled) for snapshot, manifest in manifests.items()},
            current=current,
        ),
        rulings=ruled,
    )


def rulings_in_force() -> dict[str, dict[str, Any]]:
    """The newest ruling on each recording: the case, its moment, and the shares it put in force."""
    found = Ruling.objects.order_by("at", "pk").values_list("recording_id", "claim_id", "at", "shares")
    return {
        recording: {"claim": claim, "at": timestamp(at), "shares": shares} for recording, claim, at, shares in found
    }


def _overrides(ruling: Mapping[str, Any] | None, manifest: Manifest) -> bool:
    """Whether a ruling is newer than a snapshot: a later one carries the right shares itself."""
    return ruling is not None and manifest.created_at < ruling["at"]


def _ruled(manifest: Manifest, rulings: Mapping[str, dict[str, Any]]) -> Manifest:
    """The snapshot as money follows it: with the shares that cases have put right since."""
    if not any(_overrides(ruling, manifest) for ruling in rulings.values()):
        return manifest
    recordings = tuple(
        recording.model_copy(update={"shares": _ruled_shares(recording.shares, ruling["shares"])})
        if (ruling := rulings.get(recording.recording)) is not None and _overrides(ruling, manifest)
        else recording
        for recording in manifest.recordings
    )
    return manifest.model_copy(update={"recordings": recordings})


def _ruled_shares(stood: Sequence[Share], ruled: Sequence[Mapping[str, Any]]) -> tuple[Share, ...]:
    """The shares of a ruling; a right that it does not name stays whose it was."""
    given = tuple(Share(**share) for share in ruled)
    sides = {share.side for share in given}
    return (*given, *(share for share in stood if share.side not in sides))


def _candidates(*, ends: datetime, covenants: Iterable[str]) -> list[Candidate]:
    """Generations made before `ends` that no period has settled, of this currency or of unknown terms."""
    others = CovenantVersion.objects.exclude(digest__in=list(covenants)).values_list("digest", flat=True)
    found = Generation.objects.filter(at__lt=ends, settled=None).exclude(covenant__in=list(others))
    rows = found.order_by("pk").values_list(
        "pk", "at", "license_id", "tier", "covenant", "snapshot", "source__key", "source__at",
        "attribution__pk", "attribution__source__key",
    )  # fmt: skip
    return [Candidate(*row) for row in rows]


def _unbillable(
    candidate: Candidate, covenants: Mapping[str, AnyCovenant], licenses: Collection[str], snapshots: Collection[str]
) -> str | None:
    """Why it cannot be settled whatever its attribution says: its terms, license or snapshot are not known."""
    covenant = covenants.get(candidate.covenant)
    if covenant is None or candidate.tier not in {tier.name for tier in covenant.tiers}:
        return "terms"
    if candidate.license in licenses:
        return "license"
    return "snapshot" if candidate.snapshot in snapshots else None


def _manifests(snapshots: Iterable[str], lake: Storage) -> tuple[dict[str, Manifest], set[str]]:
    """Manifests by snapshot, each with the root it says it has, and the snapshots that have none."""
    found, missing = {}, set()
    for snapshot in sorted(snapshots):
        try:
            manifest = Manifest.model_validate_json(lake.get(f"snapshots/{snapshot}/manifest.json"))
        except NotFoundError:
            missing.add(snapshot)
            continue
        manifest.check_root()
        found[snapshot] = manifest
    return found, missing


def _strangers(facts: Facts, manifests: Mapping[str, Manifest]) -> set[str]:
    """Generations whose attribution names a recording that their snapshot does not hold."""
    held = {snapshot: {r.recording for r in manifest.recordings} for snapshot, manifest in manifests.items()}
    snapshot_of = dict(zip(facts.usage["id"].to_pylist(), facts.usage["snapshot"].to_pylist(), strict=True))
    named = facts.attribution.group_by(["generation", "recording"]).aggregate([]).to_pylist()
    return {
        row["generation"]
        for row in named
        if row["recording"] != COMMONS and row["recording"] not in held[snapshot_of[row["generation"]]]
    }


def _only(facts: Facts, bases: Sequence[Basis]) -> Facts:
    """The facts of these generations alone."""
    generations = pa.array([basis.generation for basis in bases], pa.string())
    attributions = pa.array([basis.attribution for basis in bases if basis.attribution], pa.string())
    return Facts(
        usage=facts.usage.filter(pc.is_in(facts.usage["id"], generations)),
        attribution=facts.attribution.filter(pc.is_in(facts.attribution["id"], attributions)),
    )


def _named_by(bases: Sequence[Basis], objects: Mapping[str, str]) -> dict[str, str]:
    """The hashes of the objects that these generations rest on."""
    keys = {key for basis in bases for key in (basis.usage_key, basis.attribution_key) if key}
    return {key: objects[key] for key in sorted(keys)}


def _first_of_each(table: pa.Table) -> pa.Table:
    """Each identifier once: of two rows the one that came first, as ingestion took it."""
    rows = pa.table({"id": table["id"], "row": pa.array(range(len(table)), pa.int64())})
    return table.take(rows.group_by("id").aggregate([("row", "min")])["row_min"])
