"""The certificate of one output: who was licensed to make it, with which model, from which music.

It names the sound by the hash of its samples rather than of a file, so that it can travel inside
the file, in any lossless format, and still hold.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.proof.keys import Jwks, KeyRing, verify
from stemma.rights.covenant import TierName

if TYPE_CHECKING:
    import numpy as np

CERTIFICATE = "stemma-certificate+jws"


class Certificate(BaseModel):
    """Signed with a key of role `certificate` as type `CERTIFICATE`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.certificate/1"] = "stemma.certificate/1"
    generation: str
    at: str
    license: str
    licensee: str
    licensee_name: str
    tier: TierName
    indemnified: bool
    covenant: str
    """SHA-256 of the covenant under which it was made."""
    entitlement_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of the signed entitlement (the JWS text) on which serving decided."""
    model_release: str
    snapshot: str
    snapshot_root: str = Field(pattern=r"^[0-9a-f]{64}$")
    style: str
    seed: int
    prompt_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    pcm_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of the samples; see `pcm_sha256`."""
    midi_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    duration_ms: int = Field(gt=0)


def issue(certificate: Certificate, keys: KeyRing) -> str:
    """The certificate as a compact JWS."""
    return keys.sign("certificate", CERTIFICATE, certificate)


def read(token: str, keys: Jwks) -> Certificate:
    """The certificate in a JWS.  Raises `ProofError` when no certificate key signed it."""
    return Certificate.model_validate(verify(token, keys, "certificate", CERTIFICATE))


def pcm_sha256(samples: np.ndarray) -> str:
    """SHA-256 of 16-bit samples [n, channels], little-endian, interleaved: the sound itself."""
    return hashlib.sha256(samples.astype("<i2", copy=False).tobytes(order="C")).hexdigest()
