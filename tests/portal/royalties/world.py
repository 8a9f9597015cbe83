"""A small music business on the real engines: parties, recordings, licensees, a snapshot, and facts in the lake."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from stemma.ids import named_id, new_id, now, timestamp
from stemma.rights.covenant import house_covenant
from stemma.rights.shares import Share
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root
from stemma.royalties.facts import (
    COMMONS,
    PPB,
    AttributionFact,
    UsageFact,
    attribution_table,
    to_parquet,
    usage_table,
)
from stemma.storage import Storage

HASH = "0" * 64
STYLE = "chorale"


class World:
    """Two labels and a writer own six recordings; two licensees pay."""

    def __init__(self, lake: Storage, *, recordings: int = 6) -> None:
        from stemma_portal.accounts.models import Membership, Organisation
        from stemma_portal.accounts.services import membership_set, organisation_create, organisation_link, user_create
        from stemma_portal.catalog.models import Party, Recording, Work
        from stemma_portal.catalog.models import Share as ShareRow
        from stemma_portal.licensing.services import covenant_publish, license_grant

        self.lake = lake
        self.covenant = covenant_publish(covenant=house_covenant(), by=None)
        self.parties = [
            Party.objects.create(id=named_id("party", name), name=name, demo=True)
            for name in ("Alder Records", "Beech & Sons", "=Cedar, writer")
        ]
        alder, beech, cedar = (party.pk for party in self.parties)
        self.recordings = []
        for number in range(recordings):
            work = Work.objects.create(
                id=named_id("work", str(number)), title=f"Work {number}", iswc="T0345246801", composer="Traditional"
            )
            recording = Recording.objects.create(
                id=named_id("recording", str(number)), isrc=f"QZTST26{number:05d}", title=f"Recording {number}",
                work=work, style=STYLE, collection="Tests", tempo=100, key="C major", time_signature="4/4",
                duration_ms=1000, midi_sha256=HASH, audio_sha256=HASH, loudness_lufs=-20, source_name="test",
                source_license="test", source_free=True,
            )  # fmt: skip
            owner = alder if number % 2 else beech
            for party, side, ppm in (
                (owner, "master", 1_000_000),
                (cedar, "publishing", 700_001),
                (owner, "publishing", 299_999),
            ):
                ShareRow.objects.create(recording=recording, party_id=party, side=side, ppm=ppm)
            self.recordings.append(recording)
        self.snapshot = named_id("snapshot", "one")
        self.manifest = self._manifest()
        lake.put(f"snapshots/{self.snapshot}/manifest.json", self.manifest.model_dump_json().encode())
        lake.put_json("releases/production.json", {"release": "house-symbolic/1"})
        lake.put_json("releases/house-symbolic/1/stemma.json", {"snapshot": self.snapshot})

        self.staff = user_create(email="ops@example.org", name="Ops", password=None, by=None)
        self.owner = user_create(email="alder@example.org", name="Alder", password=None, by=None)
        self.stranger = user_create(email="stranger@example.org", name="Stranger", password=None, by=None)
        kind = Organisation.Kind
        ops = organisation_create(name="Ops", slug="ops", kind=kind.OPS, by=None)
        label = organisation_create(name="Alder Records", slug="alder", kind=kind.LABEL, by=None)
        organisation_link(organisation=label, party=self.parties[0], by=None)
        membership_set(user=self.staff, organisation=ops, role=Membership.Role.OWNER, by=None)
        membership_set(user=self.owner, organisation=label, role=Membership.Role.OWNER, by=None)
        self.licenses = []
        for slug, tier in (("studio", "professional"), ("agency", "enterprise")):
            licensee = organisation_create(name=slug.title(), slug=slug, kind=kind.ENTERPRISE, by=None)
            self.licenses.append(license_grant(organisation=licensee, tier=tier, months=12, by=None))

    def usage(self, *, of: int = 0, at: datetime | None = None, ms: int = 60_000, **changes: object) -> UsageFact:
        paying = self.licenses[of]
        values = {
            "id": new_id(), "at": timestamp(at or now()), "license": paying.pk, "licensee": str(paying.organisation_id),
            "key": "key", "tier": paying.tier, "covenant": paying.covenant_id, "model_release": "house-symbolic/1",
            "snapshot": self.snapshot, "style": STYLE, "prompt_sha256": HASH, "seed": 1, "billable_ms": ms,
            "audio_sha256": HASH, "midi_sha256": HASH,
        }  # fmt: skip
        return UsageFact.model_validate({**values, **changes})

    def attribution(
        self, usage: UsageFact, shares: Mapping[int, int] | None = None, **changes: object
    ) -> AttributionFact:
        """Shares in ppb by the number of a recording; the rest is the commons."""
        shares = {0: 500_000_000, 1: 300_000_001} if shares is None else shares
        named = {self.recordings[number].pk: ppb for number, ppb in shares.items()}
        values = {
            "id": new_id(), "generation": usage.id, "at": usage.at, "model_release": usage.model_release,
            "snapshot": usage.snapshot, "method": "exact-dual/1", "store": "1", "checkpoints": 4,
            "lds": 0.4, "lds_low": 0.3, "lds_high": 0.5, "shares": {**named, COMMONS: PPB - sum(named.values())},
        }  # fmt: skip
        return AttributionFact.model_validate({**values, **changes})

    def put_usage(self, *facts: UsageFact) -> str:
        return self.put("usage", to_parquet(usage_table(facts)))

    def put_attribution(self, *facts: AttributionFact) -> str:
        return self.put("attribution", to_parquet(attribution_table(facts)))

    def put(self, kind: str, body: bytes) -> str:
        key = f"{kind}/day={now():%Y-%m-%d}/{new_id()}.parquet"
        self.lake.put(key, body)
        return key

    def made(self, count: int, *, of: int = 0, ms: int = 60_000) -> list[UsageFact]:
        """Generations with their attribution, in the lake."""
        facts = [self.usage(of=of, ms=ms + number) for number in range(count)]
        self.put_usage(*facts)
        self.put_attribution(*(self.attribution(fact, {n % 6: 400_000_000 + n}) for n, fact in enumerate(facts)))
        return facts

    def close(self, period_id: str):
        """Open the next period and close it at once."""
        from stemma_portal.royalties.services import period_close, period_open

        period_open(period_id=period_id, by=None)
        return period_close(period_id=period_id, by=None, early=True, lake=self.lake)

    def _manifest(self) -> Manifest:
        leaves = [
            SnapshotRecording(
                recording=r.pk, isrc=r.isrc, work=r.work_id, iswc=r.work.iswc, title=r.title, composer=r.work.composer,
                style=r.style, tempo=r.tempo, key=r.key, midi_sha256=HASH, audio_sha256=HASH, duration_ms=1000,
                consents=(), shares=tuple(Share(party=s.party_id, side=s.side, ppm=s.ppm) for s in r.shares.all()),
            )
            for r in sorted(self.recordings, key=lambda r: r.pk)
        ]  # fmt: skip
        return Manifest(
            id=self.snapshot, name="one", created_at=timestamp(now()), scopes=("ai_generative_training",),
            covenant=self.covenant.digest, recordings=tuple(leaves), consents={}, root=snapshot_root(leaves),
        )  # fmt: skip
