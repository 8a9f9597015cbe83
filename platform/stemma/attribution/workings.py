"""From the score of a recording to its share, as one output had it: what its owner computes a share again from.

A share depends on all recordings, but only through a few sums.  With these an owner needs of the recordings only
its own, and learns neither what the others are nor what the output was.  Who may have the output and the store
computes the scores again too (`recompute`), and with them every share, so sums that are wrong would be found out.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.attribution.calibration import Curve
from stemma.attribution.ranked import PPB
from stemma.errors import InvalidError

FORMAT: Final = "stemma.attribution-workings/1"
APART = 2
"""Parts per billion that sums cannot tell: who gets the remainders of the rounding is decided among all recordings."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Parts = Annotated[int, Field(ge=0, le=PPB)]
_RECORDINGS = re.compile(rb'"recordings"\s*:\s*\{(?:[^{}]*+\{[^{}]*+\})*+[^{}]*+\}')
"""All recordings of an output in its file; of each there are numbers only."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Worked(_Strict):
    """One recording that stood out of the noise."""

    score: Finite
    """Mean of its music's, that of its copies too, in units of `Workings.unit`."""
    weight: NotNegative
    """How far it moved the model, likewise."""
    copies: int = Field(ge=1)
    """Recordings of its music, itself among them."""


class Workings(_Strict):
    """The sums of one output, and its recordings that stood out.  What a store has, `shares` says how it is used."""

    release: str = ""
    store: str = ""
    unit: float = Field(gt=0, allow_inf_nan=False)
    """The largest score, by which all others were divided."""
    middle: Finite
    """Median of decoys."""
    least: NotNegative
    """How far above it a score must lie."""
    positive: NotNegative
    """Sum over music of positive scores times weights."""
    counted: NotNegative
    """The same of what counts: its part of `positive` is attributable."""
    told: NotNegative
    """What counts by the curve, summed over recordings."""
    parts: int = Field(ge=0)
    """The recordings' parts of `told` in integers of a billionth, summed."""
    curve: Curve | None
    recordings: dict[str, Worked]

    @property
    def attributable(self) -> int:
        """What all recordings get together, ppb."""
        return int(PPB * min(1.0, self.counted / self.positive)) if self.counted else 0

    def share(self, recording: str) -> int:
        """The share of a recording in ppb, but for `APART`; 0 for one that did not stand out."""
        if (own := self.recordings.get(recording)) is None or not (self.told and self.parts):
            return 0
        over = own.score - self.middle
        counts = min(over - self.least**2 / over, max(own.score, 0.0)) if over > self.least else 0.0
        excess = counts * own.weight
        if excess * PPB < self.positive:
            return 0
        if self.curve is not None:
            excess = float(self.curve(counts * self.unit)) * own.weight
        return self.attributable * round(excess / own.copies / self.told * PPB) // self.parts

    @classmethod
    def of(cls, body: bytes, recording: str) -> Workings:
        """From an output's file, telling of one recording: `only`, in no more memory than the file takes.

        Raises pydantic's `ValidationError` for what are no workings.
        """
        if (every := _RECORDINGS.search(body)) is not None:
            name = re.escape(json.dumps(recording, ensure_ascii=False).encode())
            own = re.compile(name + rb"\s*:\s*\{[^{}]*\}").search(
                body, every.start() + len('"recordings"'), every.end()
            )
            told = b'"recordings":{%s}' % (own[0] if own else b"")
            body = b"".join((body[: every.start()], told, body[every.end() :]))
        return cls.model_validate_json(body)

    def only(self, recording: str) -> Workings:
        """The same, telling of one recording."""
        own = self.recordings.get(recording)
        return self.model_copy(update={"recordings": {} if own is None else {recording: own}})


class OwnInputs(_Strict):
    """What the portal hands to the owner of a recording about one output that it shaped."""

    format: Literal["stemma.attribution-workings/1"] = FORMAT
    attribution: str
    """Identifier of the fact; that of the output is its licensee's to tell."""
    at: str
    model_release: str
    snapshot: str
    method: str
    store: str
    checkpoints: int
    lds: float | None
    lds_low: float | None
    lds_high: float | None
    recording: str
    share: Parts
    """As it was stated, ppb."""
    interval: tuple[Parts, Parts] | None
    commons: Parts
    others: Parts
    """Of all other recordings together: with the two above it is a billion."""
    workings: Workings | None
    lacking: str = ""
    """Why there are no workings."""

    def apart(self) -> int:
        """By how many ppb the share, or what all recordings get, differs from what was stated; `APART` is nothing.

        Raises `InvalidError` where there are no workings, or what was stated is not a billion together.
        """
        if self.share + self.commons + self.others != PPB:
            raise InvalidError(
                f"What was stated sums to {self.share + self.commons + self.others} ppb, not to {PPB}.",
                remedy="Ask the house: this is no attribution.",
                code="shares-sum",
            )
        if self.workings is None:
            raise InvalidError(f"There is nothing to compute it from. {self.lacking}".strip(), code="no-workings")
        whole = abs(self.workings.attributable - (self.share + self.others))
        return max(whole, abs(self.workings.share(self.recording) - self.share))
