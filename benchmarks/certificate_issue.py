"""Claim `certificate-issue`: certificates issued and put into the transparency log, against signing alone.

Serving issues certificates with the installation's key.  Their hashes go into the log as in production:
in batches of what one gateway ships (`BATCH`), by the portal's own service on a real PostgreSQL, under
the log's lock, each batch committed; then the last of the batch is asked for its inclusion proof under a
signed head, which proves the whole batch.  (The portal makes a certificate's proof when it is asked for.)
The peer signs the same payloads as JWS by the library (`joserfc`), with the key in memory, and does nothing else;
serving's own way writes the same bytes and prepares what is the same in all headers once.
Certificates ÷ signatures per second is to be 0.3 at least.

Measured in turns, and the fastest round of each counts, so that what else the machine does weighs on
neither.  What the portal does besides (read the shipped Parquet, verify every signature, keep every
certificate as a row) is measured once, through its public service, and printed.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from joserfc import jws
from joserfc.jwk import OKPKey

from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import canonical, sha256
from stemma.proof.keys import ALGORITHM, KeyRing
from stemma.proof.log import check_receipt
from stemma.provenance.certificate import (
    CERTIFICATE,
    Certificate,
    Cover,
    Filters,
    LicenseState,
    PromptRules,
    Similarity,
    Verbatim,
    issue,
)
from stemma.royalties.facts import CertificateFact, certificate_table, to_parquet
from support.session import Session

CERTIFICATES, BATCH, ROUNDS = 2_000, 500, 9


def main() -> None:
    """Measure and print the claim."""
    session = Session()
    try:
        ours, peer = measure(session)
    finally:
        session.close()
    claim = {"claim": "certificate-issue", "ours": round(ours, 1), "peer": round(peer, 1)}
    print(json.dumps(claim | {"ratio": round(ours / peer, 3), "unit": "certificates/s"}))


def measure(session: Session) -> tuple[float, float]:
    """Certificates issued and logged a second, and signatures alone."""
    session.set_up_portal()
    from stemma.storage import storage
    from stemma_portal.core.keys import keyring
    from stemma_portal.core.selectors import log_receipt
    from stemma_portal.core.services import Fact, log_append_all
    from stemma_portal.metering.models import Certificate as Row
    from stemma_portal.metering.services import facts_ingest

    ring = keyring()
    ring.create()
    made = [_certificate(number) for number in range(CERTIFICATES)]
    payloads = [canonical(certificate) for certificate in made]
    key = OKPKey.import_key(json.loads((ring.folder / "certificate.json").read_text())["keys"][-1])
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": CERTIFICATE}

    def ours() -> float:
        begun = time.perf_counter()
        for start in range(0, CERTIFICATES, BATCH):
            some = made[start : start + BATCH]
            tokens = [issue(certificate, ring) for certificate in some]
            facts = [
                Fact("certificate", said.generation, sha256(token.encode()))
                for said, token in zip(some, tokens, strict=True)
            ]
            receipt = log_receipt(entry_id=log_append_all(facts=facts)[-1].id)
        seconds = time.perf_counter() - begun
        assert check_receipt(receipt, ring.jwks(), digest=sha256(tokens[-1].encode())).size >= CERTIFICATES
        return CERTIFICATES / seconds

    def peer() -> float:
        begun = time.perf_counter()
        for payload in payloads:
            jws.serialize_compact(dict(header), payload, key, algorithms=[ALGORITHM])
        return CERTIFICATES / (time.perf_counter() - begun)

    rounds = [(ours(), peer()) for _ in range(ROUNDS)]
    best = max(own for own, _ in rounds), max(other for _, other in rounds)
    print(f"  a payload has {len(payloads[0]):,} bytes; logged in batches of {BATCH}")
    print(f"  taken in whole: {_intake(made, ring, storage(), facts_ingest):,.0f}/s, {Row.objects.count():,} rows")
    return best


def _intake(made: list[Certificate], ring: KeyRing, lake, ingest) -> float:
    """Certificates a second through the portal's ingestion."""
    for start in range(0, CERTIFICATES, BATCH):
        facts = [
            CertificateFact(id=said.generation, at=said.at, certificate=issue(said, ring))
            for said in made[start : start + BATCH]
        ]
        lake.put(f"certificates/day={now():%Y-%m-%d}/{new_id()}.parquet", to_parquet(certificate_table(facts)))
    begun = time.perf_counter()
    assert ingest(lake=lake).taken == CERTIFICATES
    return CERTIFICATES / (time.perf_counter() - begun)


def _certificate(number: int) -> Certificate:
    """A certificate of form 2 with everything that serving says, a fingerprint of 16 seconds included."""
    digest, at = f"{number:064x}", timestamp(now())
    return Certificate(
        generation=new_id(),
        at=at,
        license=new_id(),
        licensee=new_id(),
        licensee_name="Studio",
        tier="enterprise",
        indemnified=True,
        covenant=digest,
        covenant_version="2.0.0",
        cover=Cover(use="api_outputs", currency="USD", cap=None, exclusions=()),
        entitlement_sha256=digest,
        model_release="house-symbolic/1",
        release_statement_sha256=digest,
        snapshot=new_id(),
        snapshot_root=digest,
        style="fiddle",
        seed=number,
        prompt_sha256=digest,
        pcm_sha256=digest,
        midi_sha256=digest,
        duration_ms=16_000,
        fingerprint=base64.b64encode(os.urandom(4 * 110)).decode(),
        license_state=LicenseState(not_before=at, expires_at=at, revocations_sequence=number, revocations_at=at),
        filters=Filters(
            prompt=PromptRules(sequence=number, at=at, names=1000),
            verbatim=Verbatim(notes=9, limit=32, recording=new_id(), works=300, index_sha256=digest),
            similarity=Similarity(shared_ppm=31_000, limit_ppm=600_000, recording=new_id()),
        ),
    )


if __name__ == "__main__":
    main()
