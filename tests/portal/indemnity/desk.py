"""A licensee with outputs that were really made: marked, certified, billed, with a release behind them."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import soundfile

from stemma.ids import new_id, now, timestamp
from stemma.music import audio
from stemma.proof.canonical import sha256
from stemma.provenance.authority import Authority
from stemma.provenance.certificate import Certificate, issue, pcm_sha256
from stemma.provenance.credentials import Marker
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma.rights.covenant import Cover, house_covenant
from stemma.rights.entitlement import ENTITLEMENT
from stemma.royalties.facts import COMMONS, PPB, AttributionFact, UsageFact, attribution_table, to_parquet, usage_table

RATE = 44_100
SECONDS = 14
CAP = 1_000_000
MICRO = 1_000_000
RELEASE_ID = "house/1"
LETTER = b"Dear Sirs,\nthis piece is ours. Pay by Friday.\n"


def melody(seed: int) -> np.ndarray:
    """Fourteen seconds of a tune in two voices, 16 bits [n, 2]."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([220, 247, 262, 294, 330, 349, 392, 440, 494, 523], size=SECONDS * 2)
    time = np.arange(RATE // 2) / RATE
    tone = np.concatenate([np.sin(2 * np.pi * f * time) + 0.4 * np.sin(2 * np.pi * 1.5 * f * time) for f in steps])
    return (np.stack([tone, tone], axis=1) * 7000).astype(np.int16)


def altered(samples: np.ndarray) -> bytes:
    """The same with another voice above it, as FLAC without credentials."""
    steps = np.random.default_rng(9).choice([660, 880, 1175], size=SECONDS * 3)
    voice = np.concatenate([np.sin(2 * np.pi * f * np.arange(RATE // 3) / RATE) for f in steps])[: len(samples)]
    mixed = samples[: len(voice)].astype(np.int32) + (voice[:, None] * 1500).astype(np.int32)
    return audio.encode(np.clip(mixed, -32768, 32767).astype(np.int16), RATE, "flac")


class Desk:
    """One snapshot, one release, two enterprises with a license each, and what they made."""

    def __init__(self, cast: Any, storage: Any, keyring: Any) -> None:
        from stemma_portal.accounts.models import Organisation
        from stemma_portal.accounts.services import membership_set, organisation_create, user_create
        from stemma_portal.consent.tasks import rights_status_publish
        from stemma_portal.licensing.services import covenant_publish, license_grant
        from stemma_portal.operations.models import Snapshot
        from stemma_portal.operations.services import release_register, snapshot_create
        from stemma_portal.operations.tasks import snapshot_receipt_publish

        self.cast, self.storage, self.keys = cast, storage, keyring
        Authority(keyring.folder).create()
        house = house_covenant()
        cover = Cover(use="api_outputs", cap=CAP, exclusions=("altered_after", "prompted_likeness"))
        tiers = tuple(
            t.model_copy(update={"indemnity": (cover,)}) if t.name == "enterprise" else t for t in house.tiers
        )
        self.terms = house.model_copy(update={"tiers": tiers, "version": "3.1.0"})
        covenant_publish(covenant=self.terms, by=None)
        snapshot = snapshot_create(
            name="one", include=Snapshot.Include.ELIGIBLE, scopes=["ai_generative_training"], by=None
        )
        snapshot_receipt_publish(snapshot.pk)
        self.snapshot = snapshot
        statement = keyring.sign(
            "release",
            RELEASE,
            ReleaseStatement(
                name="house", version="1", snapshot=snapshot.pk, snapshot_root=snapshot.root,
                covenant=snapshot.covenant, created_at=timestamp(now()), files={"model.safetensors": "0" * 64},
            ),
        )  # fmt: skip
        release = release_register(statement=statement, run_id="", metrics={}, by=None)
        folder = f"releases/{RELEASE_ID}/"
        storage.put(folder + "manifest.json", storage.get(snapshot.manifest_key))
        storage.put(folder + "statement.jws", statement.encode())
        storage.put_json(folder + "receipt.json", release.receipt)
        storage.put_json("keys/jwks.json", keyring.jwks())
        rights_status_publish()
        self.rival = organisation_create(name="Rival", slug="rival", kind=Organisation.Kind.ENTERPRISE, by=None)
        self.license = license_grant(organisation=cast.studio, tier="enterprise", months=12, by=None)
        self.rivals = license_grant(organisation=self.rival, tier="enterprise", months=12, by=None)
        self.second = user_create(email="second@stemma.test", name="Second", password="correct horse", by=None)
        membership_set(user=self.second, organisation=Organisation.objects.get(slug="rights"), role="owner", by=None)

    def made(self, seed: int, *, license_: Any = None) -> tuple[Any, bytes]:
        """An output as serving leaves it, its facts taken in; the generation and its FLAC file."""
        from stemma_portal.licensing.selectors import entitlement
        from stemma_portal.metering.models import Generation
        from stemma_portal.metering.services import facts_ingest

        license_ = license_ or self.license
        samples, moment, name = melody(seed), timestamp(now()), new_id()
        allowed = self.keys.sign("license", ENTITLEMENT, entitlement(license_=license_))
        midi = b"MThd none"
        certificate = Certificate(
            generation=name, at=moment, license=license_.pk, licensee=license_.organisation_id,
            licensee_name=license_.organisation.name, tier="enterprise", indemnified=True,
            covenant=license_.covenant_id, entitlement_sha256=sha256(allowed.encode()), model_release=RELEASE_ID,
            snapshot=self.snapshot.pk, snapshot_root=self.snapshot.root, style="chorale", seed=seed,
            prompt_sha256="0" * 64, pcm_sha256=pcm_sha256(samples), midi_sha256=sha256(midi),
            duration_ms=SECONDS * 1000,
        )  # fmt: skip
        token = issue(certificate, self.keys)
        body = Marker(self.keys.folder).mark(
            audio.encode(samples, RATE, "flac"), "audio/flac", title="A piece", certificate=token,
            entitlement=allowed, model_release=RELEASE_ID,
        )  # fmt: skip
        prefix = f"generations/{name}/"
        self.storage.put(prefix + "audio.flac", body)
        self.storage.put(prefix + "certificate.jws", token.encode())
        self.storage.put(prefix + "score.mid", midi)
        fact = UsageFact(
            id=name, at=moment, license=license_.pk, licensee=license_.organisation_id, key="k", tier="enterprise",
            covenant=license_.covenant_id, model_release=RELEASE_ID, snapshot=self.snapshot.pk, style="chorale",
            prompt_sha256="0" * 64, seed=seed, billable_ms=SECONDS * 1000, audio_sha256=sha256(body),
            midi_sha256=sha256(midi),
        )  # fmt: skip
        trained = str(self.snapshot.members.order_by("pk").values_list("pk", flat=True)[0])
        shaped = AttributionFact(
            id=new_id(), generation=name, at=moment, model_release=RELEASE_ID, snapshot=self.snapshot.pk,
            method="exact-dual/1", store="1", checkpoints=2, lds=0.4, lds_low=0.3, lds_high=0.5,
            shares={trained: 400_000_000, COMMONS: PPB - 400_000_000}, version=2,
            intervals={trained: (0, 500_000_000), COMMONS: (500_000_000, PPB)},
        )  # fmt: skip
        day = f"day={now():%Y-%m-%d}"
        self.storage.put(f"usage/{day}/{new_id()}.parquet", to_parquet(usage_table([fact])))
        self.storage.put(f"attribution/{day}/{new_id()}.parquet", to_parquet(attribution_table([shaped])))
        facts_ingest(lake=self.storage)
        return Generation.objects.get(pk=name), body

    def send(self, sound: bytes, *, letter: bytes = LETTER, name: str = "piece.flac", **changes: Any) -> Any:
        """A claim of the studio, not examined yet."""
        from stemma_portal.indemnity.services import claim_submit

        values = {
            "organisation": self.cast.studio, "claimant": "Acme Songs", "use": "api_outputs", "story": "A letter came.",
            "sound_name": name, "letter_name": "letter.txt", "by": self.cast.licensee, **changes,
        }  # fmt: skip
        return claim_submit(sound=io.BytesIO(sound), letter=io.BytesIO(letter), **values)[0]

    def examined(self, sound: bytes, **changes: Any) -> Any:
        """A claim after its job has run."""
        from stemma_portal.indemnity.tasks import examine

        claim = self.send(sound, **changes)
        examine(claim.pk)
        claim.refresh_from_db()
        return claim

    def ready(self, seed: int, **changes: Any) -> Any:
        """A claim that waits for a decision, its evidence taken as given: for what comes after."""
        from stemma.provenance.dossier import Finding
        from stemma_portal.indemnity.models import ClaimDossier
        from stemma_portal.indemnity.services import claim_found, claim_ready

        claim = self.send(tick(seed), name="tick.wav", **changes)
        finding = Finding(by="file-hash", sure_ppm=1_000_000, said="Given.")
        claim_found(claim=claim, generation=self.made(seed)[0], finding=finding, altered=False)
        ClaimDossier.objects.create(
            claim=claim, number=1, at=now(), document={}, seal="", receipt={},
            steps=[("Indemnity", "verified", "As it is.")],
        )  # fmt: skip
        claim_ready(claim=claim, number=1)
        claim.refresh_from_db()
        return claim

    def accepted(self, seed: int, amount: int) -> Any:
        """A claim that was accepted by the first of two people of the desk."""
        from stemma_portal.indemnity.services import claim_accept, claim_judge

        claim = self.ready(seed)
        claim_judge(
            claim=claim, exclusion="prompted_likeness", applies=False, reason="No name in it.", by=self.cast.rights
        )
        return claim_accept(claim=claim, amount=amount, reason="We stand for it.", by=self.cast.rights)


def tick(seed: int) -> bytes:
    """A tenth of a second, different for each seed."""
    return wav(melody(seed)[: RATE // 10])


def claimed(organisation: Any, by: Any) -> Any:
    """A claim that has just come from this licensee."""
    from stemma_portal.indemnity.services import claim_submit

    return claim_submit(
        organisation=organisation, claimant="Acme Songs", use="api_outputs", story="A letter came.",
        sound=io.BytesIO(tick(1)), sound_name="a.wav", letter=io.BytesIO(LETTER), letter_name="a.txt", by=by,
    )[0]  # fmt: skip


def wav(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def told(claim: Any) -> str:
    """Everything that the licensee reads of a claim."""
    from stemma_portal.indemnity.selectors import events_of

    return json.dumps([event.text for event in events_of(claim=claim, staff=False)])
