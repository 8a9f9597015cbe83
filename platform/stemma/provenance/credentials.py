"""Content Credentials (C2PA 2.2) inside audio files: written by serving, read by `stemma verify`."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from stemma import __version__
from stemma.errors import InvalidError, ProofError
from stemma.provenance.authority import Authority
from stemma.rights.reservations import ASSERTIONS, assertion

ASSERTION = "org.stemma.certificate"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""What people have gone on with; we sign only what a model made alone."""
MIME = {".flac": "audio/flac", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".m4a": "audio/mp4"}
# Outputs are licensed to be used, not to be trained on: CAWG 1.1, training and data mining.
TRAINING_MINING = assertion(
    {
        "data_mining": "notAllowed",
        "ai_inference": "allowed",
        "ai_training": "notAllowed",
        "ai_generative_training": "notAllowed",
    }
)


class Marker:
    """Signs audio with the installation's content certificate."""

    def __init__(self, keys_path: Path) -> None:
        authority = Authority(keys_path)
        info = c2pa.C2paSignerInfo(
            alg=b"es256", sign_cert=authority.chain(), private_key=authority.private_key(), ta_url=None
        )
        self._signer = c2pa.Signer.from_info(info)

    def mark(
        self, audio: bytes, mime: str, *, title: str, certificate: str, entitlement: str, model_release: str
    ) -> bytes:
        """The same audio with a manifest that carries its certificate and entitlement (both JWS)."""
        manifest = {
            "claim_generator_info": [{"name": "Stemma", "version": __version__}],
            "title": title,
            "format": mime,
            "assertions": [
                {
                    "label": "c2pa.actions.v2",
                    "data": {
                        "actions": [
                            {
                                "action": "c2pa.created",
                                "digitalSourceType": TRAINED,
                                "softwareAgent": {"name": "Stemma", "version": __version__},
                                "parameters": {"org.stemma.model_release": model_release},
                            }
                        ]
                    },
                },
                {"label": ASSERTIONS[0], "data": TRAINING_MINING},
                {"label": ASSERTION, "data": {"certificate": certificate, "entitlement": entitlement}},
            ],
        }
        output = io.BytesIO()
        c2pa.Builder(json.dumps(manifest)).sign(self._signer, mime, io.BytesIO(audio), output)
        return output.getvalue()


@dataclass(frozen=True)
class Credentials:
    """What a file's active manifest says."""

    state: str
    """`Trusted`, `Valid` (signed by someone unknown) or `Invalid`."""
    problems: tuple[str, ...]
    """Codes of failed checks, such as `assertion.dataHash.mismatch`."""
    issuer: str
    certificate: str | None
    entitlement: str | None
    source_type: str | None
    """IPTC digital source type of the creation."""


def read(audio: bytes, mime: str, anchors: str) -> Credentials:
    """The credentials in a file, judged by the roots in `anchors` (PEM).

    Reads nothing from the network.  Raises `ProofError` when the file carries no credentials, and
    `InvalidError` when it cannot be read at all.
    """
    settings = c2pa.Settings.from_dict(
        {
            "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "trust": {"user_anchors": anchors},
        }
    )
    try:
        reader = c2pa.Reader(mime, io.BytesIO(audio), context=c2pa.Context(settings))
        store = json.loads(reader.json())
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error) or "no JUMBF" in str(error):
            raise ProofError(
                "The file carries no content credentials.",
                remedy="Ask for the original: a conversion or an edit removes them.",
                code="no-credentials",
            ) from error
        raise InvalidError(f"The file cannot be read as {mime}: {error}.") from error
    manifest = store["manifests"].get(store.get("active_manifest"), {})
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    ours = _assertion(manifest, ASSERTION) or {}
    actions = (_assertion(manifest, "c2pa.actions.v2") or {}).get("actions", [])
    return Credentials(
        state=store.get("validation_state", "Invalid"),
        problems=tuple(failure["code"] for failure in failures),
        issuer=manifest.get("signature_info", {}).get("common_name", ""),
        certificate=ours.get("certificate"),
        entitlement=ours.get("entitlement"),
        source_type=actions[0].get("digitalSourceType") if actions else None,
    )


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any] | None:
    return next((a["data"] for a in manifest.get("assertions", []) if a["label"] == label), None)
