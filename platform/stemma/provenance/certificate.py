"""The certificate of one output: who was licensed to make it, with which model, from which music.

It names the sound by the hash of its samples rather than of a file, so that it can travel inside
the file, in any lossless format, and still hold.  Form 2 also says in which state the license was, which
release made the sound and what every filter found; form 1 is read for ever.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from stemma.proof.canonical import sha256
from stemma.proof.keys import Jwks, KeyRing, verify
from stemma.rights.covenant import Exclusion, TierName, Use

if TYPE_CHECKING:
    import numpy as np

CERTIFICATE = "stemma-certificate+jws"
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Deed = Literal["written", "played", "arranged"]
"""What people can have done to a piece."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LicenseState(_Closed):
    """The license as serving saw it when the sound was made."""

    state: Literal["in-force"] = "in-force"
    """Nothing is made under another one."""
    not_before: str
    expires_at: str
    revocations_sequence: Count
    """Number of the list of revocations that did not name it; 0 where there was none yet."""
    revocations_at: str
    """When that list was signed; empty where there was none yet."""


class Cover(_Closed):
    """What the covenant promised for what the API makes, and when it does not hold."""

    use: Use
    currency: str
    cap: Count | None
    """Whole units of the currency a year; None: without limit."""
    exclusions: tuple[Exclusion, ...]


class PromptRules(_Closed):
    """The list of names that no prompt may name (`stemma.rights.prompting`), against which the prompt was held."""

    sequence: Count
    at: str
    names: Count


class Verbatim(_Closed):
    """The longest passage that a work of the snapshot holds note for note (`stemma.music.ngrams`)."""

    notes: Count
    limit: Count
    recording: str = ""
    """The one that holds it; empty where no passage is shared."""
    works: Count
    index_sha256: Hex
    """Hash of the index, a file of the release."""

    @property
    def too_long(self) -> bool:
        """Whether the passage is longer than may leave."""
        return self.notes > self.limit


class Heard(_Closed):
    """The longest stretch of sound that a recording of the snapshot holds, nearly as it was (`stemma.music.echoes`)."""

    ms: Count
    limit_ms: Count
    recording: str = ""
    """The one that holds it; empty where no stretch is shared."""
    start_ms: Count = 0
    """Where it begins in the piece."""
    their_start_ms: Count = 0
    """Where it begins in the recording."""
    works: Count
    """Recordings that were asked."""
    index_sha256: Hex
    """Hash of the index, a file of the release."""

    @property
    def too_long(self) -> bool:
        """Whether the stretch is longer than may leave."""
        return self.ms > self.limit_ms


class Similarity(_Closed):
    """How much of the piece stands in the work most alike, in parts per million.

    Of scores shared n-grams of steps, of sound alone the part of its length.
    """

    shared_ppm: Count
    limit_ppm: Count
    recording: str = ""


class Filters(_Closed):
    """What each filter found.  None: it was off, or could not be applied."""

    prompt: PromptRules | None = None
    verbatim: Verbatim | None = None
    similarity: Similarity | None = None
    heard: Heard | None = None
    """Of a piece that is sound alone, in the place of `verbatim`; of others it is not written."""

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Certificates of pieces with a score are as they were, so that readers of before can read them.
        fields: dict[str, Any] = write(self)
        if self.heard is None:
            fields.pop("heard", None)
        return fields

    @property
    def off(self) -> tuple[str, ...]:
        """Names of those that were off, in words."""
        found = {
            "prompt rules": self.prompt,
            "verbatim passages": self.verbatim or self.heard,
            "similarity": self.similarity,
        }
        return tuple(name for name, said in found.items() if said is None)


class Tuned(_Closed):
    """That the weights were tuned after the release on data which is in no snapshot."""

    data_sha256: Hex
    attested: bool
    """Whether whoever tuned them has shown rights to the data."""


class Contribution(_Closed):
    """What a person has done to the piece."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    deed: Deed
    what: Annotated[str, Field(max_length=500)] = ""


class Authorship(_Closed):
    """The licensee's own statement about the part of people.  Signed as stated, not as found true."""

    contributions: Annotated[tuple[Contribution, ...], Field(min_length=1, max_length=50)]
    stated_by: str
    """E-mail address of the account."""
    at: str


class Certificate(_Closed):
    """Signed with a key of role `certificate` as type `CERTIFICATE`.

    What has a default came with form 2, or is said in a later version only.
    """

    format: Literal["stemma.certificate/1", "stemma.certificate/2"] = "stemma.certificate/2"
    generation: str
    at: str
    license: str
    licensee: str
    licensee_name: str
    tier: TierName
    indemnified: bool
    covenant: str
    """SHA-256 of the covenant under which it was made."""
    entitlement_sha256: Hex
    """Hash of the signed entitlement (the JWS text) on which serving decided."""
    model_release: str
    snapshot: str
    snapshot_root: Hex
    style: str
    seed: int
    prompt_sha256: Hex
    pcm_sha256: Hex
    """Hash of the samples; see `pcm_sha256`."""
    midi_sha256: Hex
    duration_ms: int = Field(gt=0)

    fingerprint: str = ""
    """Chromaprint of the sound: base64 of its 32-bit words in network order; empty where none could be taken."""
    covenant_version: str = ""
    cover: Cover | None = None
    """None: the covenant promises no indemnity here, or was not at hand."""
    license_state: LicenseState | None = None
    release_statement_sha256: Hex | None = None
    """Hash of the release's signed statement (JWS), which the log holds."""
    tuned: Tuned | None = None
    filters: Filters | None = None
    """None in form 1, which does not say."""
    version: int = Field(default=1, ge=1)
    supersedes: Hex | None = None
    """Hash of the version before (JWS), of which this one says the same and more."""
    authorship: Authorship | None = None


def issue(certificate: Certificate, keys: KeyRing) -> str:
    """The certificate as a compact JWS."""
    return keys.sign("certificate", CERTIFICATE, certificate)


def read(token: str, keys: Jwks) -> Certificate:
    """The certificate in a JWS.  Raises `ProofError` when no certificate key signed it."""
    return Certificate.model_validate(verify(token, keys, "certificate", CERTIFICATE))


def restate(token: str, authorship: Authorship, keys: KeyRing) -> str:
    """The next version of a certificate, with a statement about the part of people; it names this one by its hash."""
    before = read(token, keys.jwks())
    later = {"version": before.version + 1, "supersedes": sha256(token.encode()), "authorship": authorship}
    return issue(before.model_copy(update=later | {"format": "stemma.certificate/2"}), keys)


def same_but_for_statement(one: Certificate, other: Certificate) -> bool:
    """Whether two versions say the same of the output."""
    own = {"format", "version", "supersedes", "authorship"}
    return one.model_dump(exclude=own) == other.model_dump(exclude=own)


def pcm_sha256(samples: np.ndarray) -> str:
    """SHA-256 of 16-bit samples [n, channels], little-endian, interleaved: the sound itself."""
    return hashlib.sha256(samples.astype("<i2", copy=False).tobytes(order="C")).hexdigest()
