"""A party's signed grant, its withdrawal, and the state of rights that both lead to."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.rights.shares import WORLD

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
TRAINING_SCOPES: tuple[Scope, ...] = ("ai_generative_training",)
RELEASE_SCOPES: tuple[Scope, ...] = ("ai_generative_training", "open_weights_release")


class Grant(BaseModel):
    """What one party allows with its shares of the recordings named.  What is not named is refused.

    Signed as a JWS of type `CONSENT` with a key of role `rights`, and logged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    party: str
    party_name: str
    recordings: tuple[str, ...]
    """Identifiers of the recordings, sorted."""
    scopes: tuple[Scope, ...]
    territory: str = WORLD
    covenant: str
    """SHA-256 of the covenant under which it is granted."""
    granted_at: str
    valid_until: str | None = None
    signed_by: str
    """Who signed for the party: e-mail address of the account."""

    def covers(self, recording: str, scope: Scope, territory: str, at: str) -> bool:
        """Whether this grant allows the use of the recording at that moment (RFC 3339, UTC)."""
        return (
            recording in self.recordings
            and scope in self.scopes
            and self.territory in (WORLD, territory)
            and self.granted_at <= at
            and (self.valid_until is None or at < self.valid_until)
        )


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
