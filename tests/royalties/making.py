"""Facts and manifests for the tests of this room, and a slow second implementation of allocation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stemma.proof.canonical import digest
from stemma.rights.covenant import Covenant, house_covenant
from stemma.rights.shares import Share, split
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root
from stemma.royalties.facts import COMMONS, PPB, AttributionFact, UsageFact
from stemma.royalties.pools import Subscription

COVENANT = house_covenant()
TERMS = digest(COVENANT)
HASH = "0" * 64


def recording(name: str, work: str, shares: Iterable[tuple[str, str, int]]) -> SnapshotRecording:
    return SnapshotRecording(
        recording=name,
        isrc="QZTST2600001",
        work=work,
        iswc="T-034.524.680-1",
        title=name,
        composer="",
        style="chorale",
        tempo=100.0,
        key="C major",
        midi_sha256=HASH,
        audio_sha256=HASH,
        duration_ms=1000,
        shares=tuple(Share(party=party, side=side, ppm=ppm) for party, side, ppm in shares),
        consents=(),
    )


def manifest(name: str, recordings: Sequence[SnapshotRecording], *, territory: str = "WORLD") -> Manifest:
    ordered = tuple(sorted(recordings, key=lambda r: r.recording))
    return Manifest(
        id=name,
        name=name,
        created_at="2026-11-01T00:00:00.000Z",
        territory=territory,
        scopes=("ai_training",),
        covenant=TERMS,
        recordings=ordered,
        consents={},
        root=snapshot_root(ordered),
    )


def usage(
    name: str, license_id: str, ms: int, *, snapshot: str = "s1", at: str = "2026-11-10T12:00:00.000Z"
) -> UsageFact:
    return UsageFact(
        id=name,
        at=at,
        license=license_id,
        licensee=f"org-{license_id}",
        key="k",
        tier="professional",
        covenant=TERMS,
        model_release="house-symbolic/1",
        snapshot=snapshot,
        style="chorale",
        prompt_sha256=HASH,
        seed=1,
        billable_ms=ms,
        audio_sha256=HASH,
        midi_sha256=HASH,
    )


def attribution(
    generation: str,
    shares: dict[str, int],
    *,
    name: str = "",
    snapshot: str = "s1",
    at: str = "2026-11-10T12:00:01.000Z",
) -> AttributionFact:
    return AttributionFact(
        id=name or f"a-{generation}",
        generation=generation,
        at=at,
        model_release="house-symbolic/1",
        snapshot=snapshot,
        method="test",
        store="store-1",
        checkpoints=5,
        lds=None,
        lds_low=None,
        lds_high=None,
        shares={**shares, COMMONS: PPB - sum(shares.values())},
    )


def subscription(license_id: str, *, months: int = 1, tier: str = "professional") -> Subscription:
    return Subscription(license=license_id, licensee=f"org-{license_id}", tier=tier, covenant=TERMS, months=months)


def expected_lines(
    facts_usage: Iterable[UsageFact],
    facts_attribution: Iterable[AttributionFact],
    subscriptions: Iterable[Subscription],
    manifests: dict[str, Manifest],
    current: str,
    covenant: Covenant = COVENANT,
) -> Counter[tuple[str, str, str, str, str]]:
    """Amounts by (license, recording, party, side, kind), by nested loops over `shares.split`.

    One tier and covenant per license, which is what the tests make.
    """
    shares = {fact.generation: fact.shares for fact in facts_attribution}
    lines: Counter[tuple[str, str, str, str, str]] = Counter()
    usage_by_license: dict[str, list[UsageFact]] = {}
    tiers = {}
    for given in subscriptions:
        usage_by_license.setdefault(given.license, [])
        tiers[given.license] = (given.tier, given.months)
    for fact in facts_usage:
        usage_by_license.setdefault(fact.license, []).append(fact)

    def give(license_id: str, amount: int, recording: SnapshotRecording, kind: str) -> None:
        sides = split(amount, [covenant.master_ppm, 1_000_000 - covenant.master_ppm])
        for side, part in zip(("master", "publishing"), sides, strict=True):
            owners = sorted((s.party, s.ppm) for s in recording.shares if s.side == side)
            for (party, _), money in zip(owners, split(part, [ppm for _, ppm in owners]), strict=True):
                lines[license_id, recording.recording, party, side, kind] += money

    def give_equally(license_id: str, amount: int, snapshot: str, kind: str) -> None:
        works: dict[str, list[SnapshotRecording]] = {}
        for r in manifests[snapshot].recordings:
            works.setdefault(r.work, []).append(r)
        for work, part in zip(sorted(works), split(amount, [1] * len(works)), strict=True):
            for r, money in zip(works[work], split(part, [1] * len(works[work])), strict=True):
                give(license_id, money, r, kind)

    for license_id, generations in usage_by_license.items():
        tier, months = tiers.get(license_id, ("professional", 0))
        terms = covenant.tier(tier)
        billed = sum(g.billable_ms for g in generations)
        creators = (
            (months * terms.monthly_fee + terms.minute_fee * billed // 60_000) * covenant.creators_ppm // 1_000_000
        )
        if not creators:
            continue
        weights: Counter[tuple[str, str]] = Counter()
        for g in generations:
            for name, ppb in shares.get(g.id, {COMMONS: PPB}).items():
                weights[g.snapshot, name] += g.billable_ms * ppb
        weights = +weights or Counter({(current, COMMONS): 1})
        training = creators * covenant.training_ppm // 1_000_000
        keys = sorted(weights)
        for (snapshot, name), part in zip(keys, split(creators - training, [weights[k] for k in keys]), strict=True):
            if name == COMMONS:
                give_equally(license_id, part, snapshot, "commons")
            else:
                give(
                    license_id,
                    part,
                    next(r for r in manifests[snapshot].recordings if r.recording == name),
                    "attribution",
                )
        snapshots: Counter[str] = Counter()
        for (snapshot, _), weight in weights.items():
            snapshots[snapshot] += weight
        names = sorted(snapshots)
        for snapshot, part in zip(names, split(training, [snapshots[n] for n in names]), strict=True):
            give_equally(license_id, part, snapshot, "training")
    return +lines
