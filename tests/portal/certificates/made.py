"""Outputs with their certificates, as serving makes them."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import numpy as np

from stemma.ids import new_id, now, timestamp
from stemma.music.audio import encode
from stemma.music.probe import fingerprint
from stemma.proof.canonical import sha256
from stemma.provenance.certificate import (
    CERTIFICATE,
    Certificate,
    Cover,
    Filters,
    LicenseState,
    PromptRules,
    Similarity,
    Verbatim,
    pcm_sha256,
)
from stemma.rights.covenant import house_covenant
from stemma.royalties.facts import CertificateFact, UsageFact, certificate_table, to_parquet, usage_table
from stemma.storage import Storage

RATE = 44_100
SCORE = b"MThd score"
FILTERS = Filters(
    prompt=PromptRules(sequence=1, at="2026-01-01T00:00:00.000Z", names=12),
    verbatim=Verbatim(notes=9, limit=32, works=300, index_sha256="a" * 64),
    similarity=Similarity(shared_ppm=31_000, limit_ppm=600_000),
)


@cache
def sound(seed: int = 1) -> np.ndarray:
    """Sixteen seconds that sound like nothing else."""
    draw = np.random.default_rng(seed)
    at = np.arange(RATE // 4) / RATE
    chords = draw.uniform(120, 2000, (64, 3))  # one a quarter of a second
    tones = np.sin(2 * np.pi * chords[:, :, None] * at).sum(axis=1).ravel()
    return (np.stack([tones, tones], axis=1) * 6000).astype(np.int16)


@cache
def heard(seed: int) -> tuple[bytes, str]:
    """That sound as a file, and its fingerprint as a certificate carries it."""
    return encode(sound(seed), RATE, "flac"), base64.b64encode(fingerprint(sound(seed), RATE)).decode()


class Output:
    """One generation of a license."""

    def __init__(self, license_: Any, keys: Any, *, seed: int = 1, **changes: Any) -> None:
        self.samples = sound(seed)
        self.flac, mark = heard(seed)
        terms = house_covenant()
        cover = next((c for t in terms.tiers if t.name == license_.tier for c in t.indemnity), None)
        fields = {
            "generation": new_id(), "at": timestamp(now()), "license": license_.pk,
            "licensee": license_.organisation_id,
            "licensee_name": license_.organisation.name, "tier": license_.tier, "indemnified": cover is not None,
            "covenant": license_.covenant_id, "covenant_version": terms.version, "entitlement_sha256": "d" * 64,
            "cover": cover and Cover(use=cover.use, currency="USD", cap=cover.cap, exclusions=cover.exclusions),
            "model_release": "house-symbolic/1", "snapshot": new_id(), "snapshot_root": "b" * 64, "style": "fiddle",
            "seed": seed, "prompt_sha256": "e" * 64, "pcm_sha256": pcm_sha256(self.samples),
            "midi_sha256": sha256(SCORE),
            "duration_ms": 16_000, "fingerprint": mark,
            "filters": FILTERS,
            "license_state": LicenseState(
                not_before=timestamp(license_.not_before), expires_at=timestamp(license_.expires_at),
                revocations_sequence=3, revocations_at="2026-01-01T00:00:00.000Z",
            ),
        }  # fmt: skip
        self.said = Certificate(**{**fields, **changes})
        self.token = keys.sign("certificate", CERTIFICATE, self.said)
        self.id = self.said.generation

    def fact(self, **changes: Any) -> CertificateFact:
        return CertificateFact(**{"id": self.id, "at": self.said.at, "certificate": self.token, **changes})

    def usage(self) -> UsageFact:
        said = self.said
        own = said.model_dump(
            include={"at", "license", "licensee", "tier", "covenant", "model_release", "snapshot", "style", "seed"}
        )
        own |= {"prompt_sha256": said.prompt_sha256, "midi_sha256": said.midi_sha256}
        return UsageFact(id=self.id, key="k", billable_ms=16_000, audio_sha256=sha256(self.flac), **own)


def put(lake: Storage, *facts: CertificateFact | UsageFact) -> None:
    """Facts into the lake, each kind as one object."""
    issued = [fact for fact in facts if isinstance(fact, CertificateFact)]
    used = [fact for fact in facts if isinstance(fact, UsageFact)]
    for kind, table in (("certificates", certificate_table(issued)), ("usage", usage_table(used))):
        if table.num_rows:
            lake.put(f"{kind}/day={now():%Y-%m-%d}/{new_id()}.parquet", to_parquet(table))


def certified(license_: Any, keys: Any, lake: Storage) -> str:
    """An output of the license whose certificate the portal has taken in; its generation."""
    from stemma_portal.metering.services import facts_ingest

    output = Output(license_, keys)
    put(lake, output.fact(), output.usage())
    lake.put(f"generations/{output.id}/certificate.jws", output.token.encode())
    facts_ingest(lake=lake)
    return output.id
