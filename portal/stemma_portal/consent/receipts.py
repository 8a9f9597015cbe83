"""What a signer takes away: the proof as a file that verifies offline, and the same on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stemma.ids import timestamp
from stemma.rights.consent import Withdrawn
from stemma_portal.consent.forms import SCOPES
from stemma_portal.consent.models import Consent, Withdrawal
from stemma_portal.core.keys import keyring
from stemma_portal.design.typeset import typeset

TEMPLATE = Path(__file__).with_name("receipt.typ")
TOLD = 12
"""Releases named on the page."""


def consent_proof(consent: Consent) -> dict[str, Any]:
    """The signed grant, its receipt, and the keys with which both verify."""
    return {"document": consent.document, "receipt": consent.receipt, "keys": keyring().jwks()}


def withdrawal_proof(withdrawal: Withdrawal) -> dict[str, Any]:
    """The withdrawal as it was logged, its receipt, and the keys with which it verifies."""
    fact = Withdrawn(consent=withdrawal.consent_id, recording=withdrawal.recording_id, at=timestamp(withdrawal.at))
    return {"withdrawal": fact.model_dump(mode="json"), "receipt": withdrawal.receipt, "keys": keyring().jwks()}


def consent_pdf(consent: Consent, *, recordings: int) -> bytes:
    """The receipt of a grant on one page."""
    conditions = dict(consent.told())
    paragraphs = _released(consent)
    paragraphs += [
        (f"{title}.", f"{told} This holds {'; '.join(conditions[name])}." if conditions[name] else told)
        for name, (title, told) in SCOPES.items()
        if name in conditions
    ]
    refused = ", ".join(title.lower() for name, (title, _) in SCOPES.items() if name not in consent.scopes)
    if refused:
        paragraphs.append(("Not allowed:", f"{refused}."))
    where = "in the whole world" if consent.territory == "WORLD" else f"in {consent.territory} only"
    until = f"until {consent.valid_until:%-d %B %Y}" if consent.valid_until else "until it is withdrawn"
    paragraphs.append(("Where and how long:", f"{where}, {until}."))
    page = {
        "kind": "Receipt of a consent",
        "title": f"{consent.party.name} has granted",
        "subtitle": f"{recordings:,} recordings, on {consent.granted_at:%-d %B %Y}, signed by {consent.signed_by}",
        "paragraphs": paragraphs,
        "proof": [
            ("Consent", consent.id),
            ("Covenant", consent.covenant),
            *_entry(consent.receipt),
        ],
        "id": consent.id,
        "file": f"consent-{consent.id}.pdf",
    }
    return _pdf(page, consent_proof(consent), consent)


def _released(consent: Consent) -> list[tuple[str, str]]:
    """The releases that the grant names; of very many the first, since the attached proof has them all."""
    told = consent.released()
    if (more := len(told) - TOLD) > 0:
        told[TOLD:] = [f"and {more:,} more, which the attached proof names"]
    return [("Releases:", f"{'; '.join(told)}.")] if told else []


def withdrawal_pdf(withdrawal: Withdrawal) -> bytes:
    """The receipt of a withdrawal on one page."""
    what = f"“{withdrawal.recording.title}”" if withdrawal.recording else "everything it covered"
    page = {
        "kind": "Receipt of a withdrawal",
        "title": f"{withdrawal.consent.party.name} has withdrawn",
        "subtitle": f"{what}, on {withdrawal.at:%-d %B %Y}, signed by {withdrawal.signed_by}",
        "paragraphs": [
            (
                "From then on",
                "it is in no later snapshot, and nothing may be trained or released from one that holds it.",
            ),
            ("What was licensed before", "keeps its license, and the owner keeps what it earns."),
        ],
        "proof": [("Consent", withdrawal.consent_id), ("Withdrawal", withdrawal.id), *_entry(withdrawal.receipt)],
        "id": withdrawal.id,
        "file": f"withdrawal-{withdrawal.id}.pdf",
    }
    return _pdf(page, withdrawal_proof(withdrawal), withdrawal)


def _entry(receipt: dict[str, Any]) -> list[tuple[str, str]]:
    return [("Entry of the log", str(receipt["index"])), ("SHA-256", receipt["entry"]["digest"])]


def _pdf(page: dict[str, Any], proof: dict[str, Any], fact: Consent | Withdrawal) -> bytes:
    at = fact.granted_at if isinstance(fact, Consent) else fact.at
    data = {"page": json.dumps(page, ensure_ascii=False), "proof": json.dumps(proof, ensure_ascii=False)}
    return typeset(TEMPLATE, data, at=at, name=f"Receipt {page['id']}")
