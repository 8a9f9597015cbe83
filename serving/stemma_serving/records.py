"""What a generation is: the order that asks for it, and the record that is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.models.protocol import GenerationRequest
from stemma.provenance.certificate import LicenseState, PromptRules
from stemma.rights.covenant import TierName
from stemma.rights.shares import WORLD
from stemma.royalties.facts import CertificateFact, UsageFact
from stemma_serving.problems import Problem

FOLDER = "generations"
Format = Literal["flac", "wav"]


class Body(GenerationRequest):
    """The body of `POST /v1/generations`."""

    format: Format = "flac"
    """`wav` gives a WAV file beside the FLAC file."""


@dataclass(frozen=True)
class Order:
    """What the gateway asks of a generator: everything that the output must carry."""

    id: str
    at: str
    request: GenerationRequest
    """With a seed."""
    format: Format
    prompt_sha256: str
    license: str
    licensee: str
    licensee_name: str
    tier: TierName
    indemnified: bool
    covenant: str
    key: str
    """Identifier of the API key."""
    entitlement: str
    """The signed entitlement (JWS)."""
    entitlement_sha256: str
    model_releases: tuple[str, ...]
    """Releases that the license covers."""
    license_state: LicenseState
    prompt_rules: PromptRules | None
    """The list that the prompt was held against; None: none was."""
    seed_given: bool
    """Whether the caller chose the seed: another one is not drawn then."""
    territories: tuple[str, ...] = ()
    """Countries in which the license holds; none named: the whole world."""


class File(BaseModel):
    """One object of a generation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Record(BaseModel):
    """A generation as it is kept: object `generations/<id>/generation.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: Literal["stemma.generation/1"] = "stemma.generation/1"
    id: str
    created_at: str
    license: str
    licensee: str
    key_id: str
    tier: TierName
    covenant: str
    model_release: str
    snapshot: str
    style: str
    tempo: float
    key: str
    bars: int
    seed: int
    prompt_sha256: str
    duration_ms: int
    pcm_sha256: str
    peaks: tuple[int, ...]
    """Waveform: peak of each of 400 equal parts, 0…255."""
    parts: tuple[str, ...]
    """Names of the parts, from the top; each has a stem."""
    files: dict[str, File]
    """`flac`, `wav`, `midi`, `certificate`."""
    stems: dict[str, File]

    def usage(self) -> UsageFact:
        """The fact that bills it."""
        return UsageFact(
            id=self.id,
            at=self.created_at,
            license=self.license,
            licensee=self.licensee,
            key=self.key_id,
            tier=self.tier,
            covenant=self.covenant,
            model_release=self.model_release,
            snapshot=self.snapshot,
            style=self.style,
            prompt_sha256=self.prompt_sha256,
            seed=self.seed,
            billable_ms=self.duration_ms,
            audio_sha256=self.files["flac"].sha256,
            midi_sha256=self.files["midi"].sha256,
        )

    def answer(self, sign: Callable[[str, str], str], extra: Mapping[str, str]) -> dict[str, Any]:
        """The body of the answer.  `sign` gives the address of an object under a file name."""

        def shown(file: File) -> dict[str, Any]:
            name = f"{self.style}-{self.id[-8:]}-{file.object.rsplit('/', 1)[-1]}"
            return {"url": sign(file.object, name), "sha256": file.sha256, "bytes": file.bytes}

        fields = self.model_dump(mode="json", include=_SHOWN)
        files: dict[str, Any] = {name: shown(file) for name, file in self.files.items()}
        files["stems"] = {name: shown(file) for name, file in self.stems.items()}
        files |= {name: {"url": sign(key, key.rsplit("/", 1)[-1])} for name, key in extra.items()}
        return {**fields, "files": files, "attribution": f"/v1/generations/{self.id}/attribution"}


@dataclass(frozen=True)
class Made:
    """What a generator hands back: an output that lies in object storage and has not been accounted yet."""

    usage: UsageFact
    answer: bytes
    """Body of the answer, JSON."""
    objects: tuple[str, ...]
    """Its objects, to be removed when it cannot be accounted."""
    certificate: str
    """As JWS."""

    def line(self) -> bytes:
        """What the spool keeps of it."""
        return Entry(usage=self.usage, certificate=self.certificate).line()


class Entry(BaseModel):
    """A line of the spool for usage.  Lines of before are bare usage facts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    usage: UsageFact
    certificate: str | None = None

    def line(self) -> bytes:
        """As it is written: one line, so that both facts are on disk or neither."""
        return self.model_dump_json().encode()

    @classmethod
    def read(cls, line: bytes) -> Entry:
        """A line of now or of before.  Raises `ValueError`."""
        return (
            cls.model_validate_json(line)
            if line.startswith(b'{"usage"')
            else cls(usage=UsageFact.model_validate_json(line))
        )

    def issued(self) -> CertificateFact | None:
        """The certificate as a fact."""
        if self.certificate is None:
            return None
        return CertificateFact(id=self.usage.id, at=self.usage.at, certificate=self.certificate)


@dataclass(frozen=True)
class Status:
    """What a generator can do at the moment."""

    release: str | None
    """The release it serves; None when it has none, for the reason in `problem`."""
    styles: tuple[str, ...] = ()
    problem: Problem | None = None
    territory: str = WORLD
    """Where the music that the release was trained on is licensed: `WORLD` or a country."""


_SHOWN = {
    "id", "created_at", "model_release", "style", "tempo", "key", "bars", "seed", "duration_ms", "pcm_sha256", "parts",
}  # fmt: skip


def folder(generation: str) -> str:
    """Prefix of a generation's objects."""
    return f"{FOLDER}/{generation}/"


def media_type(key: str) -> str:
    """The media type of an object, by the end of its name."""
    return _MEDIA_TYPES[key.rsplit(".", 1)[-1]]


_MEDIA_TYPES = {
    "flac": "audio/flac",
    "wav": "audio/wav",
    "mid": "audio/midi",
    "jws": "application/jose",
    "json": "application/json",
}
