"""A party's signed grant, its withdrawal, and the state of rights that both lead to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from stemma.rights.covenant import AnyCovenant
from stemma.rights.shares import WHOLE, WORLD

CONSENT = "stemma-consent+jws"
STATUS = "stemma-rights-status+jws"

# The first four are the entries of the CAWG training and data mining assertion 1.1.
Scope = Literal[
    "data_mining",
    "ai_inference",
    "ai_training",
    "ai_generative_training",
    "fine_tuning",
    "open_weights_release",
    "style_prompting",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)
Family = Literal["symbolic", "latent"]
"""Kinds of model: one writes notes, the other sound."""
Use = Literal["allowed", "constrained", "refused"]
TRAINING_SCOPES: tuple[Scope, ...] = ("ai_generative_training",)
RELEASE_SCOPES: tuple[Scope, ...] = ("ai_generative_training", "open_weights_release")


class Purpose(BaseModel):
    """What a recording is to be used for: what a condition of a grant is held against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    territory: str = WORLD
    family: Family | None = None
    """None: any kind of model."""
    covenant: str
    """SHA-256 of the covenant under which it is used."""
    terms: AnyCovenant | None = None
    """That covenant, where it is at hand."""


class Condition(BaseModel):
    """Under what a scope is granted.  Everything named must hold; at least one thing is named.

    This is `constrained` in the words of the CAWG training and data mining assertion 1.1, whose
    `constraint_info` is free text: a program decides only what is typed, so that there is no free text here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    territories: tuple[str, ...] = ()
    """Two-letter codes of ISO 3166-1, sorted: only there."""
    until: str | None = None
    """Only before this moment (RFC 3339, UTC)."""
    families: tuple[Family, ...] = ()
    """Only for these kinds of model, sorted."""
    same_covenant: bool = False
    """Only under the covenant of the grant, under none that comes later."""
    creators_ppm: int | None = Field(default=None, ge=0, le=WHOLE)
    """Only under a covenant that gives creators at least this part of every revenue."""
    minute_fee: int | None = Field(default=None, ge=0)
    """Only under a covenant of which every paid tier costs at least so many micro-units a minute."""

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if self == type(self).model_construct():
            raise ValueError("A condition names at least one thing.")
        return self

    def told(self) -> list[str]:
        """What is named, in words."""
        return [word for word, _ in self._judged(Purpose(covenant=""), "", "")]

    def unmet(self, purpose: Purpose, granted_under: str, at: str) -> list[str]:
        """What does not hold, in words; what cannot be decided does not hold."""
        return [word for word, holds in self._judged(purpose, granted_under, at) if not holds]

    def _judged(self, purpose: Purpose, granted_under: str, at: str) -> Iterator[tuple[str, bool]]:
        terms = purpose.terms
        if self.territories:
            yield f"only in {', '.join(self.territories)}", purpose.territory in self.territories
        if self.until is not None:
            yield f"only until {self.until[:10]}", at < self.until
        if self.families:
            yield f"only for {' and '.join(self.families)} models", purpose.family in self.families
        if self.same_covenant:
            yield "only under the covenant of the grant", purpose.covenant == granted_under
        if (least := self.creators_ppm) is not None:
            percent = f"{least // 10_000}.{least % 10_000:04}".rstrip("0").rstrip(".")
            words = f"only where creators get at least {percent} % of every revenue"
            yield words, terms is not None and terms.creators_ppm >= least
        if (fee := self.minute_fee) is not None:
            words = f"only where a minute costs at least {fee // 1_000_000}.{fee % 1_000_000:06}"
            yield words, _pays(terms, fee)


def _pays(terms: AnyCovenant | None, least: int) -> bool:
    paid = [tier.minute_fee for tier in terms.tiers if tier.monthly_fee or tier.minute_fee] if terms else []
    return terms is not None and all(fee >= least for fee in paid)


class GrantedRelease(BaseModel):
    """An album or a single as it was when a grant named it: what people call what they sign for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    release: str
    title: str
    upc: str = Field(pattern=r"^([0-9]{8,14})?$")
    """Its product code; empty: it has none."""
    recordings: tuple[str, ...] = Field(min_length=1)
    """Those of the grant's recordings that are its tracks, sorted.  A track that comes to it later is not granted."""

    def told(self) -> str:
        """Title, code and number of tracks, in words."""
        code = f" (UPC {self.upc})" if self.upc else ""
        return f"“{self.title}”{code}, {len(self.recordings):,} track{'s' * (len(self.recordings) != 1)}"


class Grant(BaseModel):
    """What one party allows with its shares of the recordings named.  What is not named is refused.

    Signed as a JWS of type `CONSENT` with a key of role `rights`, and logged.  Form 2 knows conditions and
    form 3 releases; a grant without any is signed in form 1, which everything that came before reads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    party: str
    party_name: str
    recordings: tuple[str, ...]
    """Identifiers of the recordings, sorted: all that is granted, whatever names them besides."""
    releases: tuple[GrantedRelease, ...] = ()
    """Releases for which it was signed by name, sorted by identifier."""
    scopes: tuple[Scope, ...]
    """What is allowed, outright or under a condition."""
    conditions: dict[Scope, Condition] = Field(default_factory=dict)
    """Those of `scopes` that are granted only under a condition."""
    territory: str = WORLD
    covenant: str
    """SHA-256 of the covenant under which it is granted."""
    granted_at: str
    valid_until: str | None = None
    signed_by: str
    """Who signed for the party: e-mail address of the account."""

    @model_validator(mode="after")
    def _conditions_are_of_scopes(self) -> Grant:
        if stray := sorted(self.conditions.keys() - set(self.scopes)):
            raise ValueError(f"There are conditions for {', '.join(stray)}, which are not granted.")
        return self

    @model_validator(mode="after")
    def _releases_are_of_recordings(self) -> Grant:
        covered = set(self.recordings) if self.releases else set()
        if stray := [each.title for each in self.releases if not covered.issuperset(each.recordings)]:
            raise ValueError(f"Release “{stray[0]}” names tracks that are not granted.")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = handler(self)
        for name in ("conditions", "releases"):
            if not getattr(self, name):
                del told[name]
        return told

    def use(self, scope: Scope) -> Use:
        """What the grant says of a scope, in the words of the CAWG assertion."""
        if scope not in self.scopes:
            return "refused"
        return "constrained" if scope in self.conditions else "allowed"

    def against(self, scope: Scope, purpose: Purpose, at: str) -> list[str]:
        """What in this grant stands against a use within a scope at that moment (RFC 3339, UTC); empty: nothing."""
        if scope not in self.scopes:
            return [f"{scope} is refused"]
        if self.territory not in (WORLD, purpose.territory):
            return [f"{scope} only in {self.territory}"]
        condition = self.conditions.get(scope)
        unmet = condition.unmet(purpose, self.covenant, at) if condition else []
        return [f"{scope} {word}" for word in unmet]

    def in_force(self, at: str) -> bool:
        """Whether the grant has begun and not ended at that moment (RFC 3339, UTC)."""
        return self.granted_at <= at and (self.valid_until is None or at < self.valid_until)


class Withdrawn(BaseModel):
    """A grant that no longer holds, for one recording or for all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    consent: str
    recording: str | None = None
    at: str


class Held(BaseModel):
    """A recording that must not be used until a claim on it is resolved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str
    claim: str
    reason: str
    since: str


class RightsStatus(BaseModel):
    """Everything that stops holding after it was signed: published by the portal at `STATUS_KEY`.

    Signed as a JWS of type `STATUS` with a key of role `rights`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    withdrawn: tuple[Withdrawn, ...] = ()
    held: tuple[Held, ...] = ()

    def withdrawal(self, consent: str, recording: str) -> Withdrawn | None:
        """The withdrawal that ends this consent for this recording, if there is one."""
        return self._withdrawals.get((consent, None)) or self._withdrawals.get((consent, recording))

    def hold(self, recording: str) -> Held | None:
        """The claim under which this recording is held, if there is one."""
        return self._holds.get(recording)

    def as_of(self, moment: str) -> RightsStatus:
        """What had stopped holding by a moment (RFC 3339, UTC): later withdrawals and claims are left out."""
        return RightsStatus(
            at=moment,
            withdrawn=tuple(fact for fact in self.withdrawn if fact.at <= moment),
            held=tuple(fact for fact in self.held if fact.since <= moment),
        )

    @cached_property
    def _withdrawals(self) -> dict[tuple[str, str | None], Withdrawn]:
        # The first fact of each counts; a gate asks this once for every grant of every recording.
        return {(fact.consent, fact.recording): fact for fact in reversed(self.withdrawn)}

    @cached_property
    def _holds(self) -> dict[str, Held]:
        return {fact.recording: fact for fact in reversed(self.held)}


STATUS_KEY = "rights/status.jws"


class Terms(BaseModel):
    """Terms proposed to a party before it signs; the portal shows them in plain words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scopes: tuple[Scope, ...] = Field(min_length=1)
    territory: str = WORLD
    valid_until: str | None = None
