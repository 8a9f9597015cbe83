"""Whether new license terms take something away: a partial order on terms, dimension by dimension.

Terms are compared for each holder of a promise: every kind of licensee (`community` … `evaluation`),
the creators, and the owners of rights.  Each dimension has values in a partial order, from narrow to
wide as its holder sees it; a holder's terms are the product of theirs.  All of it is a partial order
again: reflexive, antisymmetric up to equality, transitive.  That is why no sequence of publications,
each of which takes nothing away, can take something away.

A price with a schedule is a function of the quantity, and wider means no dearer for any quantity: dearer for
some and cheaper for others is neither.  Whole packages are compared with packages of their size alone.

Two things are no dimension on purpose.  A price is a promise to who pays it: creators are promised a
part of it, and a party that wants a floor says so in its consent (`minute_fee`).  And that licensees may
do more is not held against owners: what they allow is in their consents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from stemma.rights.covenant import REVENUES, TIERS, USES, Covenant, Covenant1, Tier, lift
from stemma.rights.model_names import shortest, within
from stemma.rights.prices import NOTHING as COSTLESS
from stemma.rights.prices import Curve, Unit, curve, no_dearer
from stemma.rights.wording import MAY, amount, days, percent, priced, releases, words

Holder = Literal["community", "professional", "enterprise", "research", "evaluation", "creators", "owners"]
HOLDERS: tuple[Holder, ...] = (*TIERS, "creators", "owners")


class Verdict(StrEnum):
    """What new terms are beside old ones."""

    EQUAL = "equal"
    WIDER = "wider"
    NARROWER = "narrower"
    INCOMPARABLE = "incomparable"

    @property
    def takes_away(self) -> bool:
        """Whether a holder of the old terms could lose something."""
        return self in {Verdict.NARROWER, Verdict.INCOMPARABLE}


Order = Literal["more", "less", "subset", "superset", "models", "cheaper", "threshold", "counting", "same"]


@dataclass(frozen=True)
class Value:
    """What terms say in one dimension.  `rank` is compared by `order`; `told` is for people."""

    order: Order
    rank: tuple[Any, ...]
    told: str


NOTHING = Value("same", ("nothing",), "none")
"""Below everything: the dimension belongs to something that the terms do not offer."""
FREE = Value("same", ("free",), "no limit")
"""Above everything: the terms set no condition here."""


class Dimension(NamedTuple):
    """One thing that terms promise to one holder."""

    holder: Holder
    field: str
    """Where it is in a covenant of form 2."""
    title: str


class Step(NamedTuple):
    """One dimension, before and after."""

    holder: Holder
    field: str
    title: str
    old: str
    new: str
    verdict: Verdict

    def sentence(self) -> str:
        """What changed, in words."""
        return f"{self.holder}: {self.title} was {self.old} and would be {self.new}"


@dataclass(frozen=True)
class Comparison:
    """New terms beside old ones, in every dimension that either has."""

    steps: tuple[Step, ...]

    def of(self, holder: Holder) -> Verdict:
        """What the new terms are for one holder."""
        return combine(step.verdict for step in self.steps if step.holder == holder)

    def holders(self) -> dict[Holder, Verdict]:
        """What they are for each holder that either terms know."""
        known = {step.holder for step in self.steps}
        return {holder: self.of(holder) for holder in HOLDERS if holder in known}

    @property
    def verdict(self) -> Verdict:
        """What they are for all of them together."""
        return combine(step.verdict for step in self.steps)

    def losses(self, holders: Iterable[Holder] = HOLDERS) -> list[Step]:
        """Where one of these holders could lose something."""
        wanted = set(holders)
        return [step for step in self.steps if step.verdict.takes_away and step.holder in wanted]


class Loss(NamedTuple):
    """What somebody who holds a grant under earlier terms could lose."""

    under: str
    """Version of the terms that they hold."""
    step: Step


def compare(old: Covenant1 | Covenant, new: Covenant1 | Covenant) -> Comparison:
    """What `new` is beside `old`.  Terms of form 1 are lifted into form 2 first."""
    before, after = values(old), values(new)
    steps = []
    for dimension in sorted({**before, **after}, key=_place):
        a, b = before.get(dimension, NOTHING), after.get(dimension, NOTHING)
        steps.append(Step(*dimension, old=a.told, new=b.told, verdict=_verdict(a, b)))
    return Comparison(tuple(steps))


def losses(new: Covenant1 | Covenant, grants: Iterable[tuple[Covenant1 | Covenant, Holder]]) -> list[Loss]:
    """What holders of grants, each under terms of its own, could lose if `new` took their place; empty: nothing."""
    held: dict[tuple[str, Holder], Covenant1 | Covenant] = {}
    for terms, holder in grants:
        held.setdefault((terms.model_dump_json(), holder), terms)
    return [
        Loss(terms.version, step)
        for (_, holder), terms in held.items()
        for step in compare(terms, new).losses([holder])
    ]


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """What several dimensions are together: the product of their orders."""
    found = set(verdicts) - {Verdict.EQUAL}
    if not found:
        return Verdict.EQUAL
    return found.pop() if len(found) == 1 else Verdict.INCOMPARABLE


def values(terms: Covenant1 | Covenant) -> dict[Dimension, Value]:
    """What terms say in each dimension."""
    lifted = lift(terms)
    found = {}
    for tier in lifted.tiers:
        for field, title, value in (*_rights(tier, lifted), *_threshold(tier, lifted), *_cover(tier, lifted)):
            found[Dimension(tier.name, field, title)] = value
    for kind in REVENUES:
        part = lifted.part_of(kind)
        found[Dimension("creators", f"creators.{kind}", _PARTS[kind])] = Value("more", (part,), percent(part))
    # What one creator gets more of by these, another gets less of: neither wider nor narrower.
    split = Value("same", (lifted.training_ppm,), percent(lifted.training_ppm))
    found[Dimension("creators", "training_ppm", "shared equally per trained work")] = split
    split = Value("same", (lifted.master_ppm,), percent(lifted.master_ppm))
    found[Dimension("owners", "master_ppm", "part of the master side")] = split
    gone = lifted.withdrawal
    ends = Value("less", (gone.prompting_days,), days(gone.prompting_days))
    found[Dimension("owners", "withdrawal.prompting_days", "days until style prompting ends")] = ends
    earns = Value("more", (gone.owner_earns,), "yes" if gone.owner_earns else "no")
    found[Dimension("owners", "withdrawal.owner_earns", "earning on after a withdrawal")] = earns
    return found


Told = Iterator[tuple[str, str, Value]]
_PRICES: tuple[tuple[str, Unit, str], ...] = (
    ("monthly_fee", "flat", "fee a month"),
    ("minute_fee", "minute", "fee a minute"),
    ("prices.seat", "seat", "price a seat and month"),
    ("prices.release", "release", "price a model release"),
)
"""Where prices stand: a fee of form 2 and the schedule of form 3 in its place are one dimension."""
_PARTS = {"subscription": "part of monthly fees", "usage": "part of fees for minutes", "other": "part of other revenue"}


def _rights(tier: Tier, terms: Covenant) -> Told:
    at = f"tiers.{tier.name}"
    yield f"{at}.name", "offered", Value("more", (1,), "yes")
    for use in USES:
        rank = 0 if use not in tier.uses else 1 if use in tier.notice_on else 2
        yield f"{at}.uses.{use}", MAY[use], Value("more", (rank,), ("no", "yes, with the notice", "yes")[rank])
    some = Value("superset", (frozenset(tier.territories),), ", ".join(tier.territories))
    yield f"{at}.territories", "territory", some if tier.territories else _free("the whole world")
    named = shortest(tier.models)
    yield f"{at}.models", "models", Value("models", (named,), releases(named)) if named else _free(releases(named))
    text = Value("same", (terms.notice,), f"“{terms.notice}”")
    yield "notice", "text of the notice", text if tier.notice_on else _free("needs none")
    schedule = terms.schedule(tier.name)
    for field, unit, title in _PRICES:
        price = schedule.price(unit)
        yield f"{at}.{field}", title, _cost(curve(price), terms.currency, priced(price, terms.currency))
    least = Curve(((None, 0, tier.minimum),))
    yield f"{at}.minimum", "least a month", _cost(least, terms.currency, amount(tier.minimum, terms.currency))
    rate = tier.requests_per_minute
    yield f"{at}.requests_per_minute", "requests a minute", Value("more", (rate,), f"{rate:,}")
    yield "withdrawal.outputs", "outputs after a withdrawal", _kept(terms.withdrawal.outputs)
    yield "withdrawal.weights", "weights after a withdrawal", _kept(terms.withdrawal.weights)
    yield "breach.cure_days", "days to put a breach right", _more_days(terms.breach.cure_days)
    yield "breach.outputs", "outputs after a breach", _kept(terms.breach.outputs)


def _threshold(tier: Tier, terms: Covenant) -> Told:
    limit, counting, growth = tier.revenue_limit, terms.revenue, terms.growth
    told = f"{counting.currency} {limit or 0:,}"
    said = f"of the {counting.of}, {words(counting.over)}"
    rows = (
        (
            f"tiers.{tier.name}.revenue_limit",
            "up to a revenue of",
            Value("threshold", (counting.currency, limit), told),
        ),
        ("revenue", "revenue is counted", Value("counting", (counting.over, counting.of == "licensee"), said)),
        ("growth.grace_days", "days of grace after growth", _more_days(growth.grace_days)),
        ("growth.outputs", "outputs after growth", _kept(growth.outputs)),
    )
    for field, title, value in rows:
        # Without a threshold it does not matter how revenue is counted, or what growth past it does.
        yield field, title, _free("no threshold") if limit is None else value


def _cover(tier: Tier, terms: Covenant) -> Told:
    for cover in tier.indemnity:
        at = f"tiers.{tier.name}.indemnity.{cover.use}"
        cap = Value("threshold", (terms.currency, cover.cap), f"up to {terms.currency} {cover.cap or 0:,} a year")
        yield f"{at}.cap", f"indemnity, {MAY[cover.use]}", _free("without limit") if cover.cap is None else cap
        told = "; ".join(words(each) for each in cover.exclusions) or "nothing"
        excluded = Value("subset", (frozenset(cover.exclusions),), told)
        yield f"{at}.exclusions", f"indemnity excludes, {MAY[cover.use]}", excluded


def _cost(cost: Curve, currency: str, told: str) -> Value:
    return Value("cheaper", ("" if cost == COSTLESS else currency, cost), told)


def _free(told: str) -> Value:
    return Value("same", FREE.rank, told)


def _more_days(count: int) -> Value:
    return Value("more", (count,), days(count))


def _kept(what: str) -> Value:
    return Value("more", (("end", "stay").index(what),), "license stays" if what == "stay" else "license ends")


def _verdict(old: Value, new: Value) -> Verdict:
    up, down = _wide(old, new), _wide(new, old)
    if up and down:
        return Verdict.EQUAL
    return Verdict.WIDER if up else Verdict.NARROWER if down else Verdict.INCOMPARABLE


def _wide(low: Value, high: Value) -> bool:
    """Whether `high` is at least as wide as `low`, with a bottom and a top in every dimension."""
    if low.rank == NOTHING.rank or high.rank == FREE.rank:
        return True
    if high.rank == NOTHING.rank or low.rank == FREE.rank:
        return False
    return low.rank == high.rank or _ORDERS[low.order](low.rank, high.rank)


def _place(dimension: Dimension) -> tuple[int, int, str]:
    holder = HOLDERS.index(dimension.holder)
    parts = dimension.field.split(".")
    use = next((USES.index(part) for part in parts if part in USES), 0)
    return holder, _ROWS.index(next(row for row in _ROWS if row in parts)) * 10 + use, dimension.field


_ROWS = (
    *("name", "uses", "territories", "models", "notice", "revenue_limit", "revenue", "grace_days"),
    *("monthly_fee", "minute_fee", "prices", "minimum"),
    *("requests_per_minute", "indemnity", "growth", "breach", "subscription", "usage", "other", "training_ppm"),
    *("master_ppm", "prompting_days", "owner_earns", "withdrawal"),
)
"""Rows of a comparison, from the top."""
_ORDERS: dict[Order, Callable[[Any, Any], bool]] = {
    "more": lambda a, b: a <= b,
    "less": lambda a, b: a >= b,
    "subset": lambda a, b: a[0] >= b[0],
    "superset": lambda a, b: a[0] <= b[0],
    "models": lambda a, b: within(a[0], b[0]),
    # What is free is free in any currency; else amounts of two currencies are not compared.
    "cheaper": lambda a, b: b[1] == COSTLESS or (a[0] == b[0] and no_dearer(b[1], a[1])),
    "threshold": lambda a, b: a[0] == b[0] and a[1] <= b[1],
    "counting": lambda a, b: a[0] == b[0] and a[1] <= b[1],
    "same": lambda a, b: a == b,
}
