"""A version of the license terms, as data: who may do what, at which price, and what creators get.

Terms are content-addressed by `stemma.proof.canonical.digest` and logged.  What is published now is form 2,
or form 3 where prices have schedules (`Covenant` is both: form 3 may say more); form 1 (`Covenant1`) is read
for ever, since licenses name it.  All answer to the same names where settlement, consent and serving ask.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from stemma.errors import InvalidError
from stemma.rights.model_names import is_models, shortest
from stemma.rights.prices import LARGEST, Price, Schedule, Step, Unit
from stemma.rights.shares import WHOLE

Use = Literal["api_outputs", "open_weights", "fine_tuning", "redistribution", "embedding", "broadcast"]
USES: tuple[Use, ...] = get_args(Use)
TierName = Literal["community", "professional", "enterprise", "research", "evaluation"]
TIERS: tuple[TierName, ...] = get_args(TierName)
Revenue = Literal["subscription", "usage", "other"]
"""Kinds of revenue: monthly fees, generated minutes, and whatever else a licensee pays."""
REVENUES: tuple[Revenue, ...] = get_args(Revenue)
Exclusion = Literal[
    "altered_after", "notice_removed", "other_training_data", "prompted_likeness", "no_attribution", "filters_off"
]
EXCLUSIONS: tuple[Exclusion, ...] = get_args(Exclusion)
Kept = Literal["end", "stay"]
"""What becomes of what was made or handed out before."""

Ppm = Annotated[int, Field(ge=0, le=WHOLE, strict=True)]
Whole = Annotated[int, Field(ge=0, le=LARGEST, strict=True)]
Days = Annotated[int, Field(ge=0, le=36_500, strict=True)]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
MAX_MODELS = 50
"""How many names of models a tier or a license holds."""


class Closed(BaseModel):
    """A part of the terms: unknown keys are refused, and nothing is changed once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Cover(Closed):
    """For one use, from which claims of others Stemma keeps a licensee free, and how far."""

    use: Use
    cap: Whole | None = None
    """Whole units of the covenant's currency a year; None: without limit."""
    exclusions: tuple[Exclusion, ...] = ()
    """Sorted: when it does not hold."""

    @model_validator(mode="after")
    def _sorted(self) -> Cover:
        _ascending("exclusions", self.exclusions)
        return self


class Tier(Closed):
    """What one kind of licensee may do and pays."""

    name: TierName
    title: Text
    uses: tuple[Use, ...] = Field(min_length=1)
    territories: tuple[str, ...] = ()
    """Two-letter codes of ISO 3166-1, sorted: only there.  None named: the whole world."""
    notice_on: tuple[Use, ...] = ()
    """Those of `uses` that must carry the attribution notice."""
    revenue_limit: Whole | None = None
    """Yearly revenue in whole units of `revenue.currency` up to which the tier is open; None: to everyone."""
    monthly_fee: Whole
    """Micro-units of the currency per month."""
    minute_fee: Whole
    """Micro-units of the currency per generated minute."""
    requests_per_minute: int = Field(gt=0, le=LARGEST, strict=True)
    indemnity: tuple[Cover, ...] = ()
    """At most one for each of `uses`."""
    prices: tuple[Price, ...] = ()
    """Form 3: prices with schedules, one for each unit, sorted by it; a unit named here has no fee above."""
    minimum: Whole = 0
    """Form 3: the least that a month comes to, in micro-units, fees and use together."""
    models: tuple[str, ...] = Field(default=(), max_length=MAX_MODELS)
    """Form 3: model releases that it covers, `house-symbolic/2` or `house-symbolic/*`, sorted.  None named: all."""

    @model_serializer(mode="wrap")
    def _short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What form 2 does not know is left out where it says nothing: terms of form 2 keep their hash.
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name not in _FORM_3 or getattr(self, name)}

    @model_validator(mode="after")
    def _priced_once(self) -> Tier:
        _ascending("prices", tuple(price.unit for price in self.prices))
        for unit, fee in (("flat", self.monthly_fee), ("minute", self.minute_fee)):
            if fee and any(price.unit == unit for price in self.prices):
                raise ValueError(f"prices: the {unit} price is said twice; let the fee be 0.")
        return self

    @model_validator(mode="after")
    def _sound(self) -> Tier:
        _once("uses", self.uses)
        _once("notice_on", self.notice_on)
        covered = tuple(cover.use for cover in self.indemnity)
        _once("indemnity", covered)
        _ascending("territories", self.territories)
        if strange := [code for code in self.territories if not (len(code) == 2 and code.isascii() and code.isupper())]:
            raise ValueError(f"territories: {', '.join(strange)} is no two-letter code of ISO 3166-1.")
        if strange := [name for name in self.models if name == "*" or not is_models(name)]:
            raise ValueError(
                f"models: {', '.join(strange)} is no model; write house-symbolic/* for the releases of one, "
                "house-symbolic/2 for a single one, and none at all for every model."
            )
        if self.models != shortest(self.models):
            raise ValueError("models must be in the order of the alphabet, none of them covered by another.")
        if stray := sorted({*self.notice_on, *covered} - set(self.uses)):
            raise ValueError(f"The tier says something of {', '.join(stray)}, which it does not allow.")
        return self

    @property
    def indemnified(self) -> bool:
        """Whether any use is covered."""
        return bool(self.indemnity)


_FORM_3 = ("prices", "minimum", "models")
"""What a tier of form 2 does not say."""


class Counting(Closed):
    """How a licensee's revenue is counted, where a tier is open up to a threshold."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    of: Literal["group", "licensee"]
    """Of all companies under the same control, or of the licensee alone."""
    over: Literal["last_fiscal_year", "last_twelve_months"]


class CreatorsParts(Closed):
    """Part of each kind of revenue that goes to creators, in parts per million."""

    subscription: Ppm
    usage: Ppm
    other: Ppm


class OnWithdrawal(Closed):
    """What happens when an owner withdraws a work.  It always leaves every later snapshot."""

    outputs: Kept
    weights: Kept
    prompting_days: Days
    """After how many days it is no longer used for style prompting."""
    owner_earns: bool = Field(strict=True)
    """Whether the owner keeps earning from what was made with it before."""


class OnGrowth(Closed):
    """What happens when a licensee's revenue grows past the threshold of its tier."""

    grace_days: Days
    """For how long the tier stays open."""
    outputs: Kept


class OnBreach(Closed):
    """What happens when a licensee breaks the terms."""

    cure_days: Days
    """How long it may take to put it right before the license ends."""
    outputs: Kept


class Covenant(Closed):
    """License terms, forms 2 and 3.  Content-addressed by `stemma.proof.canonical.digest` and logged."""

    format: Literal["stemma.covenant/2", "stemma.covenant/3"] = "stemma.covenant/2"
    version: str = Field(min_length=1, max_length=40)
    title: Text
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    tiers: tuple[Tier, ...] = Field(min_length=1)
    revenue: Counting
    creators: CreatorsParts
    training_ppm: Ppm
    """Part of the creators' money that is shared equally per trained work; the rest by attribution."""
    master_ppm: Ppm
    """Part of a recording's money that goes to the master side; the rest to the publishing side."""
    notice: Text
    """The attribution notice, for the uses that must carry it."""
    withdrawal: OnWithdrawal
    growth: OnGrowth
    breach: OnBreach

    @model_validator(mode="after")
    def _each_tier_once(self) -> Covenant:
        _once("tiers", tuple(tier.name for tier in self.tiers))
        return self

    @model_validator(mode="after")
    def _form_of_tiers(self) -> Covenant:
        said = {name for tier in self.tiers for name in _FORM_3 if getattr(tier, name)}
        if self.format == "stemma.covenant/2" and said:
            raise ValueError(f"format: {', '.join(sorted(said))} of a tier is said in form 3, stemma.covenant/3.")
        return self

    def tier(self, name: str) -> Tier:
        """The tier of this name."""
        return next(tier for tier in self.tiers if tier.name == name)

    def schedule(self, tier: str) -> Schedule:
        """What a tier costs."""
        terms = self.tier(tier)
        return _schedule(self.currency, terms, terms.prices, terms.minimum)

    def part_of(self, revenue: Revenue) -> int:
        """Creators' part of a kind of revenue."""
        return int(getattr(self.creators, revenue))

    @property
    def creators_ppm(self) -> int:
        """Creators' part of every revenue: the least of their parts."""
        return min(self.part_of(kind) for kind in REVENUES)

    @property
    def on_withdrawal(self) -> str:
        """What happens when an owner withdraws, in words."""
        then = self.withdrawal
        when = f"after {then.prompting_days} days is" if then.prompting_days else "is"
        kept = {
            kept: [name for name in ("outputs", "weights") if getattr(then, name) == kept] for kept in ("stay", "end")
        }
        words = [f"The recording leaves every later snapshot and {when} no longer used for style prompting."]
        if kept["stay"]:
            words.append(f"{' and '.join(kept['stay']).capitalize()} licensed before keep their license.")
        if kept["end"]:
            words.append(f"The license of {' and '.join(kept['end'])} made with it ends.")
        words.append("The owner keeps what they earn." if then.owner_earns else "The owner earns no more from them.")
        return " ".join(words)


class Tier1(Closed):
    """What one kind of licensee may do and pays, in form 1."""

    name: TierName
    title: str
    uses: tuple[Use, ...]
    revenue_limit: int | None = None
    """Yearly revenue in whole units of the covenant's currency up to which the tier is open."""
    monthly_fee: int = Field(ge=0)
    minute_fee: int = Field(ge=0)
    requests_per_minute: int = Field(gt=0)
    indemnified: bool = False


class Covenant1(Closed):
    """License terms, form 1: read for ever, published no more."""

    format: Literal["stemma.covenant/1"] = "stemma.covenant/1"
    version: str
    title: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    tiers: tuple[Tier1, ...]
    creators_ppm: int = Field(ge=0, le=WHOLE)
    training_ppm: int = Field(ge=0, le=WHOLE)
    master_ppm: int = Field(ge=0, le=WHOLE)
    notice: str
    on_withdrawal: str

    def tier(self, name: str) -> Tier1:
        """The tier of this name."""
        return next(tier for tier in self.tiers if tier.name == name)

    def schedule(self, tier: str) -> Schedule:
        """What a tier costs."""
        return _schedule(self.currency, self.tier(tier))

    def part_of(self, revenue: Revenue) -> int:  # noqa: ARG002 - form 1 knows one part for all
        """Creators' part of a kind of revenue."""
        return self.creators_ppm


class Acceptance(Closed):
    """That a licensee has taken a later version in place of the one it held; logged by its hash."""

    format: Literal["stemma.acceptance/1"] = "stemma.acceptance/1"
    id: str
    license: str
    tier: TierName
    covenant: str
    """SHA-256 of the terms accepted."""
    replaces: str
    """SHA-256 of the terms held before."""
    accepted_by: str
    """Who accepted for the licensee: e-mail address of the account."""
    at: str
    """RFC 3339, UTC; from then on the terms accepted hold."""


AnyCovenant = Annotated[Covenant1 | Covenant, Field(discriminator="format")]
AnyTier = Tier1 | Tier
_READER: TypeAdapter[Covenant1 | Covenant] = TypeAdapter(AnyCovenant)


def read_covenant(document: Any) -> Covenant1 | Covenant:
    """The terms that a JSON value or text states, in whichever form.

    Raises `InvalidError` that names each place which is not as it must be, unknown keys too.
    """
    try:
        if isinstance(document, str | bytes):
            return _READER.validate_json(document)
        return _READER.validate_python(document)
    except ValidationError as error:
        raise InvalidError(
            "This is not a covenant of form 1, 2 or 3.",
            remedy="Put right what is named; `stemma covenant show` prints one that holds.",
            code="not-a-covenant",
            details=[
                {
                    # The first part is the form by which it was read.
                    "field": ".".join(str(part) for part in found["loc"][1:]) or "format",
                    "rule": found["type"],
                    "remedy": f"{found['msg'].removeprefix('Value error, ').rstrip('.')}.",
                }
                for found in error.errors()
            ],
        ) from error


def lift(terms: Covenant1 | Covenant) -> Covenant:
    """Terms of form 1 said in form 2, so that all can be compared; later forms as they are.

    What form 1 grants without a limit has none here: the whole world, indemnity without cap or exclusion,
    what was made before stays.  What it does not promise is not there: no days of grace, none to put a
    breach right.  Its free text on withdrawal is taken as the widest that form 2 can say.
    """
    if isinstance(terms, Covenant):
        return terms
    part = terms.creators_ppm
    return Covenant(
        version=terms.version,
        title=terms.title or "Covenant",
        currency=terms.currency,
        tiers=tuple(
            Tier(
                name=tier.name,
                title=tier.title or tier.name,
                uses=(uses := tuple(dict.fromkeys(tier.uses))),
                notice_on=uses,
                revenue_limit=None if tier.revenue_limit is None else max(0, tier.revenue_limit),
                monthly_fee=tier.monthly_fee,
                minute_fee=tier.minute_fee,
                requests_per_minute=tier.requests_per_minute,
                indemnity=(Cover(use="api_outputs"),) if tier.indemnified and "api_outputs" in tier.uses else (),
            )
            for tier in {tier.name: tier for tier in reversed(terms.tiers) if tier.uses}.values()
        ),
        revenue=Counting(currency=terms.currency, of="licensee", over="last_fiscal_year"),
        creators=CreatorsParts(subscription=part, usage=part, other=part),
        training_ppm=terms.training_ppm,
        master_ppm=terms.master_ppm,
        notice=terms.notice or "None.",
        withdrawal=OnWithdrawal(outputs="stay", weights="stay", prompting_days=0, owner_earns=True),
        growth=OnGrowth(grace_days=0, outputs="stay"),
        breach=OnBreach(cure_days=0, outputs="stay"),
    )


def _schedule(currency: str, tier: AnyTier, prices: tuple[Price, ...] = (), minimum: int = 0) -> Schedule:
    """Fees are prices, too: the short way to say those that have no steps."""
    fees: list[Price] = []
    if tier.monthly_fee:
        fees.append(Price(unit="flat", title=f"{tier.title} license"[:200], steps=(Step(price=tier.monthly_fee),)))
    if tier.minute_fee:
        fees.append(Price(unit="minute", title="Generated music", steps=(Step(price=tier.minute_fee),)))
    order: tuple[Unit, ...] = ("flat", "seat", "minute", "release")
    found = sorted((*fees, *prices), key=lambda price: order.index(price.unit))
    return Schedule(currency=currency, prices=tuple(found), minimum=minimum)


def _once(name: str, values: tuple[str, ...]) -> None:
    if len(set(values)) != len(values):
        raise ValueError(f"{name}: something is named twice.")


def _ascending(name: str, values: tuple[str, ...]) -> None:
    # Sets are written in one order, so that the same terms have the same hash.
    if any(a >= b for a, b in pairwise(values)):
        raise ValueError(f"{name} must be in the order of the alphabet, each once.")


def house_covenant() -> Covenant:
    """The terms with which an installation begins that has none.  One that has terms keeps its own.

    They promise less than those of before (`house_covenant_2`): whoever holds these could not be given them.
    """
    before = house_covenant_2()
    # What the certificate or the file itself tells, without anybody's judgement.
    told: tuple[Exclusion, ...] = ("altered_after", "filters_off", "other_training_data")
    tiers = tuple(
        tier.model_copy(
            update={
                "indemnity": tuple(
                    cover.model_copy(update={"exclusions": told}) if cover.use == "api_outputs" else cover
                    for cover in tier.indemnity
                )
            }
        )
        for tier in before.tiers
    )
    growth = before.growth.model_copy(update={"grace_days": 30})
    return before.model_copy(update={"version": "3.0.0", "tiers": tiers, "growth": growth})


def house_covenant_2() -> Covenant:
    """The terms that Stemma was delivered with before.  They never change either."""
    micro = 1_000_000
    outputs_only: tuple[Use, ...] = ("api_outputs",)
    studied: tuple[Use, ...] = ("api_outputs", "open_weights", "fine_tuning")
    # Weights leave our hands: what others do to them is not ours to answer for.
    weights: tuple[Exclusion, ...] = ("altered_after", "no_attribution", "other_training_data")
    return Covenant(
        version="2.0.0",
        title="Stemma Covenant",
        currency="USD",
        tiers=(
            Tier(
                name="community",
                title="Community",
                uses=USES,
                notice_on=USES,
                revenue_limit=1_000_000,
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=30,
            ),
            Tier(
                name="professional",
                title="Professional",
                uses=USES,
                notice_on=USES,
                revenue_limit=20_000_000,
                monthly_fee=49 * micro,
                minute_fee=50_000,
                requests_per_minute=600,
            ),
            Tier(
                name="enterprise",
                title="Enterprise",
                uses=USES,
                notice_on=("open_weights", "redistribution"),
                monthly_fee=990 * micro,
                minute_fee=40_000,
                requests_per_minute=60_000,
                indemnity=(
                    Cover(use="api_outputs"),
                    Cover(use="open_weights", cap=1_000_000, exclusions=weights),
                    Cover(use="embedding", cap=1_000_000, exclusions=weights),
                ),
            ),
            Tier(
                name="research",
                title="Research",
                uses=studied,
                notice_on=studied,
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=60,
            ),
            Tier(
                name="evaluation",
                title="Evaluation",
                uses=outputs_only,
                notice_on=outputs_only,
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=30,
            ),
        ),
        revenue=Counting(currency="USD", of="licensee", over="last_fiscal_year"),
        creators=CreatorsParts(subscription=500_000, usage=500_000, other=500_000),
        training_ppm=300_000,
        master_ppm=500_000,
        notice="Made with Stemma from licensed music.",
        withdrawal=OnWithdrawal(outputs="stay", weights="stay", prompting_days=0, owner_earns=True),
        growth=OnGrowth(grace_days=90, outputs="stay"),
        breach=OnBreach(cure_days=30, outputs="stay"),
    )


def house_covenant_1() -> Covenant1:
    """The terms that Stemma was delivered with first.  They never change: licenses name them by their hash."""
    micro = 1_000_000
    every: tuple[Use, ...] = ("api_outputs", "open_weights", "fine_tuning", "redistribution", "embedding", "broadcast")
    return Covenant1(
        version="1.0.0",
        title="Stemma Covenant",
        currency="USD",
        tiers=(
            Tier1(
                name="community",
                title="Community",
                uses=every,
                revenue_limit=1_000_000,
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=30,
            ),
            Tier1(
                name="professional",
                title="Professional",
                uses=every,
                revenue_limit=20_000_000,
                monthly_fee=49 * micro,
                minute_fee=50_000,
                requests_per_minute=600,
            ),
            Tier1(
                name="enterprise",
                title="Enterprise",
                uses=every,
                monthly_fee=990 * micro,
                minute_fee=40_000,
                requests_per_minute=60_000,
                indemnified=True,
            ),
            Tier1(
                name="research",
                title="Research",
                uses=("api_outputs", "open_weights", "fine_tuning"),
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=60,
            ),
            Tier1(
                name="evaluation",
                title="Evaluation",
                uses=("api_outputs",),
                monthly_fee=0,
                minute_fee=0,
                requests_per_minute=30,
            ),
        ),
        creators_ppm=500_000,
        training_ppm=300_000,
        master_ppm=500_000,
        notice="Made with Stemma from licensed music.",
        on_withdrawal=(
            "The recording leaves every later snapshot and is no longer used for style prompting. Outputs and "
            "weights licensed before keep their license; the owner keeps what they earn."
        ),
    )
