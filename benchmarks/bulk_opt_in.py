"""Claim `bulk-opt-in`: one signed grant over 100,000 recordings with one receipt, against the minute it may take.

The grant goes the whole way through the portal's service: what may be granted is looked up, the
document is signed and logged, the rows are written and committed; then its receipt is verified
offline, and one recording of it is withdrawn.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.session import Session

RECORDINGS = int(os.environ.get("RECORDINGS", "100000"))
ALLOWED = 60.0

FILL = """
INSERT INTO catalog_work (id, title, iswc, composer, region, reference, publishing)
    SELECT gen_random_uuid(), 'Work', '', '', '', '', '[]';
INSERT INTO catalog_recording (id, isrc, organisation_id, reference, title, artist, work_id, style, collection, key,
        time_signature, instruments, midi_sha256, audio_sha256, audio_file, peaks, source_name, source_license,
        source_free, source_note, record_sha256, version, created_at, updated_at)
    SELECT gen_random_uuid(), 'QZSTM' || lpad(n::text, 7, '0'), %(organisation)s, '', 'Song ' || n, '',
        (SELECT id FROM catalog_work LIMIT 1), '', '', '', '', '[]', '', '', '', '[]', '', '', true, '', '', 1,
        now(), now()
    FROM generate_series(1, %(count)s) n;
INSERT INTO catalog_share (recording_id, party_id, side, ppm, territory)
    SELECT id, %(party)s, side, 1000000, 'WORLD' FROM catalog_recording, unnest(ARRAY['master', 'publishing']) side;
"""


def main() -> None:
    """Measure and print the claim."""
    session = Session()
    try:
        seconds = measure(session)
    finally:
        session.close()
    claim = {"claim": "bulk-opt-in", "ours": seconds, "peer": ALLOWED, "ratio": ALLOWED / seconds, "unit": "s"}
    print(json.dumps(claim))


def measure(session: Session) -> float:
    """Seconds of one grant over everything."""
    session.set_up_portal()
    from django.db import connection

    from stemma.provenance.documents import verify_document
    from stemma.rights.covenant import house_covenant
    from stemma_portal.accounts.models import Organisation, User
    from stemma_portal.catalog.models import Party
    from stemma_portal.consent.receipts import consent_proof
    from stemma_portal.consent.services import consent_grant, consent_withdraw
    from stemma_portal.licensing.services import covenant_publish

    party = Party.objects.create(name="Example Records")
    label = Organisation.objects.create(name="Example Records", slug="example", kind="label", party=party)
    owner = User.objects.create_user("owner@example.com")
    covenant_publish(covenant=house_covenant(), by=None)
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"organisation": label.id, "party": party.id, "count": RECORDINGS})
        cursor.execute("ANALYZE")
    started = time.perf_counter()
    consent = consent_grant(party=party, recordings="all", scopes=["ai_generative_training"], by=owner)
    seconds = time.perf_counter() - started
    print(f"granted {consent.items.count():,} recordings in {seconds:.1f} s", flush=True)
    started = time.perf_counter()
    proof = json.dumps(consent_proof(consent)).encode()
    report = verify_document(proof)
    assert report.verdict.code == "verified", report
    print(f"its receipt of {len(proof) / 2**20:.1f} MiB verifies in {time.perf_counter() - started:.1f} s", flush=True)
    started = time.perf_counter()
    consent_withdraw(consent=consent, recording_id=consent.items.first().recording_id, by=owner)
    print(f"one recording withdrawn in {time.perf_counter() - started:.2f} s", flush=True)
    return seconds


if __name__ == "__main__":
    main()
