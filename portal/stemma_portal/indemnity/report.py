"""The dossier on paper: what is claimed, what was found, what each proof came to, and how to check it oneself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from stemma.proof.keys import verify
from stemma.provenance import dossier as parts
from stemma.provenance.certificate import CERTIFICATE
from stemma.provenance.dossier import Dossier, Likeness
from stemma.rights.wording import MAY, words
from stemma_portal.catalog.models import Recording
from stemma_portal.core.keys import keyring
from stemma_portal.design.typeset import typeset
from stemma_portal.indemnity.models import OutputClaim
from stemma_portal.operations.figures import flat

TEMPLATE = Path(__file__).with_name("report.typ")
SHARES = 20
"""Recordings that the report names; the whole list is in the archive."""
VERDICTS = {"covered": "Covered", "lapsed": "Lapsed", "not-covered": "Not covered", "open": "To be judged"}
JUDGED = {True: "applies", False: "does not apply", None: "open"}


def readme(claim: OutputClaim) -> bytes:
    """What the archive is, for whoever opens it without knowing us."""
    return f"""The dossier of claim {claim.pk}

What is in it: the sound under claim, the sound as it was handed out, the signed certificate of that output,
the terms, the fact that billed it, whose music shaped it, and every signed grant behind the model, with proofs
from the transparency log. dossier.jws names every file with its hash and is signed; report.pdf tells it on paper.

To check all of it, with no network and no account (Python package "stemma"):

    stemma verify dossier.zip
    stemma verify dossier.zip --keys jwks.json

The second checks with public keys that you asked the issuer for yourself. Without the program: the signatures
are JWS (RFC 7515) with Ed25519, hashes are SHA-256 over canonical JSON (RFC 8785), the log is a Merkle tree
(RFC 9162).
""".encode()


def report_pdf(
    claim: OutputClaim,
    said: Dossier,
    steps: Sequence[tuple[str, str, str]],
    members: Mapping[str, bytes],
    *,
    at: datetime,
) -> bytes:
    """The report as PDF/UA-1."""
    found = said.coverage
    cap = f"{found.currency} {found.cap:,} a year" if found.cap is not None else "without limit"
    page = {
        "title": f"{said.claimant} against an output of {said.licensee_name}",
        "claim": claim.pk,
        "number": said.number,
        "at": said.at[:16].replace("T", " ") + " UTC",
        "facts": [
            ("Received", said.received_at[:16].replace("T", " ") + " UTC"),
            ("Licensee", said.licensee_name),
            ("Output", said.generation),
            ("Found", said.finding.said),
            ("How sure", f"{said.finding.sure_ppm / 10_000:.1f} %"),
            ("The licensee may", MAY[said.use]),
            ("Altered", {True: "yes", False: "no", None: "perhaps converted"}[said.evidence.altered]),
        ],
        "verdict": VERDICTS[found.verdict],
        "why": found.why,
        "cap": cap if found.verdict in {"covered", "open"} else "",
        "grounds": [(words(g.exclusion).capitalize(), JUDGED[g.applies], g.why) for g in found.grounds],
        "steps": [(link, verdict == "verified", detail) for link, verdict, detail in steps],
        "shares": _shares(members),
        "near": _near(members),
        "certificate": [(name, str(value)) for name, value in flat(_certificate(members))],
        "members": [(name, len(body)) for name, body in sorted(members.items())],
    }
    return typeset(TEMPLATE, {"page": json.dumps(page, ensure_ascii=False)}, at=at, name=f"dossier of {claim.pk}")


def _certificate(members: Mapping[str, bytes]) -> dict[str, Any]:
    """What the certificate says as it was issued, whichever form it has."""
    token = members[parts.CERTIFICATE].decode().strip()
    return verify(token, keyring().jwks(), "certificate", CERTIFICATE)


def _shares(members: Mapping[str, bytes]) -> list[tuple[str, str]]:
    if parts.ATTRIBUTION not in members:
        return []
    shares: dict[str, int] = json.loads(members[parts.ATTRIBUTION])["shares"]
    first = sorted(shares.items(), key=lambda each: (-each[1], each[0]))[:SHARES]
    titles = dict(Recording.objects.filter(pk__in=[k for k, _ in first if k != "commons"]).values_list("pk", "title"))
    return [
        ("Commons: equally per trained work" if key == "commons" else titles.get(key, key), f"{ppb / 10_000_000:.3f} %")
        for key, ppb in first
    ]


def _near(members: Mapping[str, bytes]) -> list[tuple[str, str]]:
    if parts.LIKENESS not in members:
        return []
    found = Likeness.model_validate_json(members[parts.LIKENESS])
    return [(near.title, f"{near.shared_ppm / 10_000:.1f} %") for near in found.nearest]
