"""Configuration of serving: `serving.toml` in the home folder, every key known, every value checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stemma.config import Settings
from stemma.errors import InvalidError
from stemma_serving.autoscaling import Autoscaling

FILE = "serving.toml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewayConfig(_Strict):
    """The door."""

    autoscaling: Autoscaling = Autoscaling(target_ongoing_requests=64)
    cpus: float = Field(default=0.2, gt=0)
    """Share of a core for which Ray reserves room; it limits nothing."""
    resources: dict[str, float] = {}
    """What else Ray reserves, by name: on a cluster, what only the pods have on which this may run."""
    concurrent: int = Field(default=256, ge=1)
    """Requests in work per replica; more wait at the proxy."""
    body_bytes: int = Field(default=65_536, ge=1024)
    """Largest request body."""
    refresh_seconds: float = Field(default=3, gt=0, le=5)
    """How often entitlements and revocations are read again."""
    answer_seconds: float = Field(default=120, gt=0)
    """Longest time for one generation, retries included."""
    attempts: int = Field(default=3, ge=1)
    """How often a generation is started when replicas die under it."""
    caps_when_away: Literal["refuse", "allow"] = "refuse"
    """Whether licenses with a monthly cap are answered while nobody can count: Redis is away.  Others always are."""
    url_seconds: int = Field(default=3600, ge=60, le=604_800)
    """How long signed addresses of outputs hold."""


class LicensesConfig(_Strict):
    """How long serving goes on with what it last heard about revoked licenses and keys."""

    stale_seconds: float = Field(default=900, ge=60)
    """Age of the list of revocations after which it counts as stale; the portal renews it twice a minute."""
    when_stale: Literal["allow", "refuse"] = "allow"
    """`allow` goes on with the last list for a while, `refuse` answers nobody before there is a fresh one."""
    allow_seconds: float = Field(default=259_200, ge=60, le=2_592_000)
    """For how long `allow` goes on, counted from the moment at which the list was signed."""

    @property
    def trust_seconds(self) -> float:
        """Age of the list at which serving stops."""
        return self.stale_seconds if self.when_stale == "refuse" else max(self.stale_seconds, self.allow_seconds)


class GeneratorConfig(_Strict):
    """The model."""

    autoscaling: Autoscaling = Autoscaling()
    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)
    """GPUs, or a share of one, that a replica has for itself."""
    resources: dict[str, float] = {}
    threads: int = Field(default=0, ge=0)
    """Threads of torch; 0 for one per core."""
    queue: int = Field(default=8, ge=1)
    """Generations that a replica accepts, the one in work included; beyond them callers are told to come back."""
    poll_seconds: float = Field(default=3, gt=0)
    """How often a new production release is looked for."""
    retry_seconds: float = Field(default=30, gt=0)
    """After which a release that could not be loaded is tried again, unless another one takes its place."""


class FiltersConfig(_Strict):
    """What prompts and pieces are held against.  What is off is off in every certificate, too."""

    prompt: bool = True
    """Whether prompts are refused that name whom they may not."""
    verbatim_notes: int = Field(default=32, ge=0, le=10_000)
    """Longest passage that a piece may share note for note with a work of the snapshot; 0: not looked for."""
    heard_ms: int = Field(default=4000, ge=0, le=600_000)
    """Longest stretch of sound that a piece without a score may share with a recording; 0: not looked for."""
    similarity_ppm: int = Field(default=600_000, ge=0, le=1_000_000)
    """Largest likeness to a work as a whole, in parts per million; 0: not measured."""
    redraws: int = Field(default=2, ge=0, le=10)
    """How often another seed is drawn for a piece that is too close, where the caller gave none."""


class AttributorConfig(_Strict):
    """What happens after the answer."""

    autoscaling: Autoscaling = Autoscaling()
    cpus: float = Field(default=0.2, gt=0)
    threads: int = Field(default=1, ge=1)
    poll_seconds: float = Field(default=1, gt=0)


class SpoolConfig(_Strict):
    """Facts on local disk until they are shipped."""

    cpus: float = Field(default=0.1, gt=0)
    segment_seconds: float = Field(default=2, gt=0)
    """Age at which a file of facts is closed and shipped."""
    segment_bytes: int = Field(default=8 << 20, ge=1024)
    reserve_bytes: int = Field(default=32 << 20, ge=0)
    """Free space below which no generation begins."""


class PortsConfig(_Strict):
    """Ports beside the public one.  All are on loopback."""

    stats: int = Field(default=0, ge=0, lt=65_536)
    """HAProxy's page of figures; 0 for a free port."""
    metrics: int = Field(default=0, ge=0, lt=65_536)
    """HAProxy's figures for Prometheus; 0 for a free port."""
    ray_metrics: int = Field(default=0, ge=0, lt=65_536)
    """Ray's and our own figures for Prometheus; 0 for a free port."""
    replicas_from: int = Field(default=30_000, ge=1024, lt=65_536)
    replicas_to: int = Field(default=30_999, ge=1024, lt=65_536)
    """Range in which gateway replicas listen for the proxy."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.replicas_from >= self.replicas_to:
            raise ValueError("replicas_from must be below replicas_to")
        return self


class ServingConfig(_Strict):
    """All of it."""

    gateway: GatewayConfig = GatewayConfig()
    licenses: LicensesConfig = LicensesConfig()
    generator: GeneratorConfig = GeneratorConfig()
    filters: FiltersConfig = FiltersConfig()
    attributor: AttributorConfig = AttributorConfig()
    spool: SpoolConfig = SpoolConfig()
    ports: PortsConfig = PortsConfig()
    keepers: Literal["replicas", "sidecar"] = "replicas"
    """Who ships facts and attributes: replicas of Ray Serve, or `python -m stemma_serving.keeper` beside each
    gateway, as on a cluster, where every pod has a spool of its own."""
    cpus: int = Field(default=0, ge=0)
    """Cores that Ray may plan with; 0 for those there are."""
    object_store_bytes: int = Field(default=100 << 20, ge=80 << 20)
    stop_seconds: float = Field(default=10, gt=0)
    """How long requests in work may go on after a request to stop."""


def load(settings: Settings) -> ServingConfig:
    """The configuration of this installation; defaults where there is no file.

    Raises `InvalidError` that names every unknown or malformed key.
    """
    path = settings.home / FILE
    if not path.exists():
        return ServingConfig()
    return parse(path)


def parse(path: Path) -> ServingConfig:
    """The configuration in a TOML file."""
    try:
        return ServingConfig.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path} is not TOML: {error}.") from error
    except ValidationError as error:
        lines = [".".join(map(str, e["loc"])) + f": {e['msg']}" for e in error.errors()]
        raise InvalidError(f"{path} is malformed. " + "; ".join(lines) + ".", remedy="Correct these keys.") from None
