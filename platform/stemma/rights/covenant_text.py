"""License terms in words, made from the data: a legal text, clause by clause, and a summary for people.

Each clause has a number and the field that it says, so that a lawyer finds the datum and a program the
clause.  The data decides in case of doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from stemma.rights.covenant import USES, Covenant, Covenant1, Tier, lift
from stemma.rights.wording import MAY, amount, days, percent, priced, releases, words


class Clause(NamedTuple):
    """One sentence or two of the terms."""

    number: str
    field: str
    """Where it is in the covenant: `tiers.community.uses`."""
    text: str


class Section(NamedTuple):
    """Clauses that belong together."""

    number: int
    title: str
    clauses: tuple[Clause, ...]


class Point(NamedTuple):
    """One thing that people want to know."""

    question: str
    answers: tuple[str, ...]


Said = Iterator[tuple[str, str]]
_FORM_2_ONLY = ("territories", "revenue", "growth", "breach")
"""What form 1 does not say, and so is not put into its mouth."""


def sections(terms: Covenant1 | Covenant) -> tuple[Section, ...]:
    """The whole text, numbered."""
    lifted = lift(terms)
    parts: list[tuple[str, Said]] = [("These terms", _opening(lifted))]
    parts += [(f"{tier.title} license", _tier(tier, lifted)) for tier in lifted.tiers]
    parts += [
        ("Revenue and growth", _growth(lifted)),
        ("What creators and owners receive", _creators(lifted)),
        ("Attribution notice", _notice(lifted)),
        ("Withdrawal of a work", _withdrawal(terms, lifted)),
        ("Breach", _breach(lifted)),
        ("Later versions", _later()),
    ]
    found: list[Section] = []
    for title, said in parts:
        kept = [(field, text) for field, text in said if not (isinstance(terms, Covenant1) and _unsaid(field))]
        if kept:
            number = len(found) + 1
            clauses = (Clause(f"{number}.{n}", field, text) for n, (field, text) in enumerate(kept, 1))
            found.append(Section(number, title, tuple(clauses)))
    return tuple(found)


def markdown(terms: Covenant1 | Covenant, digest: str) -> str:
    """The text as Markdown, as it lies in releases."""
    lines = [
        f"# {terms.title} {terms.version}",
        "",
        f"These terms are generated from the covenant with SHA-256 `{digest}`, which decides in case of doubt.",
        "",
    ]
    for section in sections(terms):
        lines += [f"## {section.number}. {section.title}", ""]
        for clause in section.clauses:
            lines += [f"{clause.number}. {clause.text} `[{clause.field}]`", ""]
    return "\n".join(lines)


def summary(terms: Covenant1 | Covenant) -> tuple[Point, ...]:
    """What people want to know, on one screen."""
    lifted = lift(terms)
    return (
        Point("Who may use it, and what does it cost?", tuple(_in_short(tier, lifted) for tier in lifted.tiers)),
        Point("What do creators get?", (_parts(lifted), _training(lifted))),
        Point("What must be shown?", (f"“{lifted.notice}”, where a license asks for it.",)),
        Point("What if an owner withdraws?", (terms.on_withdrawal,)),
        *(
            ()
            if isinstance(terms, Covenant1)
            else (
                Point(
                    "What if we grow, or make a mistake?",
                    (
                        f"Growing past a threshold leaves {_time(lifted.growth.grace_days)} to change the license.",
                        f"A breach may be put right within {_time(lifted.breach.cure_days)}.",
                    ),
                ),
            )
        ),
        Point(
            "Can this be taken back?",
            ("No. A license keeps the version under which it was granted, until its holder accepts a later one.",),
        ),
    )  # fmt: skip


def _unsaid(field: str) -> bool:
    parts = field.split(".")
    return parts[0] in _FORM_2_ONLY or parts[-1] in _FORM_2_ONLY


def _opening(terms: Covenant) -> Said:
    yield (
        "title",
        (
            f"This is the {terms.title}, version {terms.version}. It says what licensees may do with the music models "
            "of Stemma and with what they make, what that costs, and what the creators of the music receive."
        ),
    )
    yield "currency", f"All fees are in {terms.currency}."
    yield "tiers", f"There are {len(terms.tiers)} kinds of license: {_list([tier.title for tier in terms.tiers])}."


def _tier(tier: Tier, terms: Covenant) -> Said:
    at = f"tiers.{tier.name}"
    limit = tier.revenue_limit
    yield (
        f"{at}.revenue_limit",
        (
            "This license is open to everyone, whatever their revenue."
            if limit is None
            else f"This license is open to whoever has a yearly revenue of up to {terms.revenue.currency} {limit:,}."
        ),
    )
    yield f"{at}.uses", f"The licensee may {_list([MAY[use] for use in USES if use in tier.uses])}."
    if refused := [MAY[use] for use in USES if use not in tier.uses]:
        yield f"{at}.uses", f"The licensee may not {_list(refused, 'or')}."
    where = f"in {_list(list(tier.territories))} and nowhere else" if tier.territories else "in the whole world"
    yield f"{at}.territories", f"This holds {where}."
    if tier.models:  # terms that name none keep the numbers of their clauses
        yield f"{at}.models", f"It holds for these models and for no others: {releases(tier.models)}."
    must = [MAY[use] for use in USES if use in tier.notice_on]
    yield (
        f"{at}.notice_on",
        (f"The attribution notice goes with these: {_list(must)}." if must else "No attribution notice is required."),
    )
    yield from _prices(tier, terms)
    yield f"{at}.requests_per_minute", f"The API answers up to {tier.requests_per_minute:,} requests a minute."
    if not tier.indemnity:
        yield f"{at}.indemnity", "There is no indemnity."
    for cover in tier.indemnity:
        cap = "without limit" if cover.cap is None else f"up to {terms.currency} {cover.cap:,} a year"
        but = f", except for {_list([words(each) for each in cover.exclusions])}" if cover.exclusions else ""
        yield (
            f"{at}.indemnity.{cover.use}",
            (
                "Stemma keeps the licensee free from claims that the licensed music was used without right, where the "
                f"licensee does this: {MAY[cover.use]}. It does so {cap}{but}."
            ),
        )


def _prices(tier: Tier, terms: Covenant) -> Said:
    at, schedule = f"tiers.{tier.name}", terms.schedule(tier.name)
    flat, seat, minute, release = (schedule.price(unit) for unit in ("flat", "seat", "minute", "release"))
    stated = {price.unit for price in tier.prices}
    yield (
        f"{at}.prices" if "flat" in stated else f"{at}.monthly_fee",
        f"The fee is {priced(flat, terms.currency)} a month." if flat else "There is no monthly fee.",
    )
    if seat:
        yield f"{at}.prices", f"Each seat costs, a month: {priced(seat, terms.currency)}."
    yield (
        f"{at}.prices" if "minute" in stated else f"{at}.minute_fee",
        f"Each generated minute costs {priced(minute, terms.currency)}."
        if minute
        else "Generated minutes cost nothing.",
    )
    if release:
        yield f"{at}.prices", f"Each model release that is used costs, per invoice: {priced(release, terms.currency)}."
    if tier.minimum:
        least = amount(tier.minimum, terms.currency)
        yield f"{at}.minimum", f"A month comes to {least} at least, fees and use together."


def _growth(terms: Covenant) -> Said:
    whose = {
        "group": "of the licensee and of all companies under the same control",
        "licensee": "of the licensee alone",
    }
    counting = terms.revenue
    yield (
        "revenue",
        (
            f"Revenue is counted in {counting.currency}: that {whose[counting.of]}, {words(counting.over)}. Other "
            "currencies are converted at their mean rate over that time."
        ),
    )
    grace = terms.growth.grace_days
    yield (
        "growth.grace_days",
        (
            f"A licensee that grows past the threshold of its license keeps it for {days(grace)} more, and takes "
            "another one in that time."
            if grace
            else "A license ends when its holder grows past its threshold."
        ),
    )
    yield "growth.outputs", _after("What was made before", terms.growth.outputs)


def _creators(terms: Covenant) -> Said:
    yield "creators", _parts(terms)
    yield (
        "training_ppm",
        (
            f"{percent(terms.training_ppm)} of that is shared equally per trained work, the rest by attribution of "
            "outputs to works."
        ),
    )
    yield (
        "master_ppm",
        (
            f"Of each recording's money {percent(terms.master_ppm)} goes to the master side, the rest to the "
            "publishing side."
        ),
    )


def _notice(terms: Covenant) -> Said:
    yield "notice", f"The attribution notice reads: “{terms.notice}”"


def on_withdrawal(
    terms: Covenant1 | Covenant, part: Literal["outputs", "weights", "prompting_days", "owner_earns"]
) -> str:
    """What the terms say of one thing when an owner withdraws.  Form 1 says one text of all."""
    said = dict(_withdrawal(terms, lift(terms)))
    return said.get("on_withdrawal") or said[f"withdrawal.{part}"]


def _withdrawal(terms: Covenant1 | Covenant, lifted: Covenant) -> Said:
    if isinstance(terms, Covenant1):
        yield "on_withdrawal", terms.on_withdrawal
        return
    then = lifted.withdrawal
    yield "withdrawal", "A work that its owner withdraws leaves every later snapshot."
    when = f"{days(then.prompting_days)} after the withdrawal" if then.prompting_days else "at once"
    yield "withdrawal.prompting_days", f"Style prompting with it ends {when}."
    yield "withdrawal.outputs", _after("What was made with it before", then.outputs)
    yield "withdrawal.weights", _after("A model that was trained on it before", then.weights)
    earns = "keeps earning" if then.owner_earns else "earns nothing more"
    yield "withdrawal.owner_earns", f"The owner {earns} from what was licensed before."


def _breach(terms: Covenant) -> Said:
    cure = terms.breach.cure_days
    yield (
        "breach.cure_days",
        (
            f"Whoever breaks these terms may put it right within {days(cure)} of being told. After that the license "
            "ends."
            if cure
            else "The license of whoever breaks these terms ends."
        ),
    )
    yield "breach.outputs", _after("What was made before the breach", terms.breach.outputs)


def _later() -> Said:
    yield (
        "version",
        (
            "A license keeps the version of these terms under which it was granted. A later version holds for it only "
            "when its holder accepts that version."
        ),
    )
    yield (
        "format",
        "A version that takes something away from those who hold a license or have consented is not published.",
    )


def _parts(terms: Covenant) -> str:
    parts = terms.creators
    if parts.subscription == parts.usage == parts.other:
        return f"{percent(terms.creators_ppm)} of every revenue goes to creators."
    return (
        f"Creators receive {percent(parts.subscription)} of monthly fees, {percent(parts.usage)} of fees for generated "
        f"minutes and {percent(parts.other)} of any other revenue."
    )


def _training(terms: Covenant) -> str:
    return (
        f"{percent(terms.training_ppm)} of that is shared equally per work that a model was trained on, the rest goes "
        "to the works that shaped each output."
    )


def _in_short(tier: Tier, terms: Covenant) -> str:
    limit = (
        f" up to {terms.revenue.currency} {tier.revenue_limit:,} of revenue" if tier.revenue_limit is not None else ""
    )
    said = {"flat": "a month", "seat": "a seat and month", "minute": "a minute", "release": "a model release"}
    schedule = terms.schedule(tier.name)
    costs = [f"{priced(price, terms.currency)} {said[price.unit]}" for price in schedule.prices]
    costs += [f"at least {amount(tier.minimum, terms.currency)} a month"] if tier.minimum else []
    may = "everything" if set(tier.uses) == set(USES) else _list([MAY[use] for use in USES if use in tier.uses])
    covered = "; with indemnity" if tier.indemnified else ""
    where = f"; only in {_list(list(tier.territories))}" if tier.territories else ""
    where += f"; only with {releases(tier.models)}" if tier.models else ""
    return f"{tier.title}{limit}: {may}, {' and '.join(costs) or 'free'}{where}{covered}."


def _after(what: str, kept: str) -> str:
    return f"{what} keeps its license." if kept == "stay" else f"{what} loses its license."


def _time(count: int) -> str:
    return days(count) if count else "no time"


def _list(parts: list[str], last: str = "and") -> str:
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}" if len(parts) > 1 else "".join(parts)
