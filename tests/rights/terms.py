"""Terms of every kind, for properties."""

from hypothesis import strategies as st

from stemma.rights.covenant import (
    EXCLUSIONS,
    TIERS,
    USES,
    Counting,
    Covenant,
    Cover,
    CreatorsParts,
    OnBreach,
    OnGrowth,
    OnWithdrawal,
    Tier,
)
from stemma.rights.model_names import shortest
from stemma.rights.prices import Price, Step

few = st.integers(0, 2)
kept = st.sampled_from(["end", "stay"])
currencies = st.sampled_from(["EUR", "USD"])


def subset(values, least=0):
    return st.lists(st.sampled_from(values), min_size=least, unique=True).map(lambda found: tuple(sorted(found)))


models = subset(["a/*", "a/1", "b/1", "b/2"]).map(shortest)
"""Models that a tier covers; none named: all."""


@st.composite
def prices(draw, unit):
    way = draw(st.sampled_from(["graduated", "volume", "package"]))
    if way == "package":
        return Price(
            unit=unit, title="Packs", way=way, steps=(Step(price=draw(few)),), package=draw(st.sampled_from([1, 10]))
        )
    ends = [*sorted(draw(st.sets(st.integers(1, 3), max_size=2))), None]
    return Price(unit=unit, title="Steps", way=way, steps=tuple(Step(up_to=end, price=draw(few)) for end in ends))


@st.composite
def tiers(draw, name):
    uses = draw(subset(USES, 1))
    cover = st.builds(Cover, use=st.sampled_from(uses), cap=st.none() | few, exclusions=subset(EXCLUSIONS))
    return Tier(
        name=name,
        title=name,
        uses=uses,
        territories=draw(subset(["CH", "DE", "FR"])),
        models=draw(models),
        notice_on=draw(subset(uses)),
        revenue_limit=draw(st.none() | few),
        monthly_fee=draw(few),
        requests_per_minute=draw(few) + 1,
        indemnity=tuple(draw(st.lists(cover, max_size=2, unique_by=lambda each: each.use))),
        **draw(schedules()),
    )


@st.composite
def schedules(draw):
    """What form 3 may say more: minutes, releases and seats by steps, and a minimum."""
    units = draw(subset(["minute", "release", "seat"]))
    fee = {} if "minute" in units else {"minute_fee": draw(few)}
    return {
        "minute_fee": 0, **fee, "minimum": draw(few), "prices": tuple(draw(prices(unit)) for unit in units),
    }  # fmt: skip


@st.composite
def covenants(draw, names=TIERS[:2]):
    parts = st.integers(0, 2).map(lambda n: n * 500_000)
    return Covenant(
        format="stemma.covenant/3",
        version=draw(st.sampled_from(["1", "2"])),
        title="Terms",
        currency=draw(currencies),
        tiers=tuple(draw(tiers(name)) for name in draw(subset(names, 1))),
        revenue=Counting(
            currency=draw(currencies),
            of=draw(st.sampled_from(["group", "licensee"])),
            over=draw(st.sampled_from(["last_fiscal_year", "last_twelve_months"])),
        ),
        creators=CreatorsParts(subscription=draw(parts), usage=draw(parts), other=draw(parts)),
        training_ppm=draw(parts),
        master_ppm=draw(parts),
        notice=draw(st.sampled_from(["A", "B"])),
        withdrawal=OnWithdrawal(
            outputs=draw(kept), weights=draw(kept), prompting_days=draw(few), owner_earns=draw(st.booleans())
        ),
        growth=OnGrowth(grace_days=draw(few), outputs=draw(kept)),
        breach=OnBreach(cure_days=draw(few), outputs=draw(kept)),
    )


@st.composite
def near(draw, terms):
    """Terms that differ from these in a few places: what random ones are never."""
    other = draw(covenants(tuple(tier.name for tier in terms.tiers)))
    fields = sorted(Covenant.model_fields.keys() - {"format"})
    changed = draw(st.lists(st.sampled_from(fields), max_size=2, unique=True))
    data = {name: getattr(terms, name) for name in Covenant.model_fields}
    for name in set(changed) - {"tiers"}:
        data[name] = getattr(other, name)
    if "tiers" in changed and {t.name for t in other.tiers} == {t.name for t in terms.tiers}:
        single = draw(st.sampled_from(sorted(Tier.model_fields.keys() - {"name", "uses", "notice_on", "indemnity"})))
        names = ["minute_fee", "prices"] if single in {"minute_fee", "prices"} else [single]
        data["tiers"] = tuple(
            mine.model_copy(update={name: getattr(other.tier(mine.name), name) for name in names})
            for mine in terms.tiers
        )
    return Covenant(**data)


@st.composite
def wider(draw, terms):
    """Terms that take nothing away: some dimensions are wider, all others as they are."""
    more = lambda value: value + draw(few)  # noqa: E731
    less = lambda value: max(0, value - draw(few))  # noqa: E731
    stays = lambda value: draw(st.sampled_from([value, "stay"]))  # noqa: E731
    made = []
    for tier in terms.tiers:
        uses = tuple(sorted({*tier.uses, *draw(subset(USES))}))
        covered = {cover.use: cover for cover in tier.indemnity}
        made.append(
            Tier(
                name=tier.name,
                title=tier.title,
                uses=uses,
                territories=tuple(sorted({*tier.territories, *draw(subset(["CH", "IT"]))})) if tier.territories else (),
                models=draw(st.sampled_from([(), shortest([*tier.models, *draw(models)])])) if tier.models else (),
                notice_on=tuple(sorted(set(tier.notice_on) - set(draw(subset(USES))))),
                revenue_limit=None if tier.revenue_limit is None else more(tier.revenue_limit),
                monthly_fee=less(tier.monthly_fee),
                minute_fee=less(tier.minute_fee),
                requests_per_minute=more(tier.requests_per_minute),
                minimum=less(tier.minimum),
                prices=tuple(
                    price.model_copy(
                        update={"steps": tuple(Step(up_to=s.up_to, price=less(s.price)) for s in price.steps)}
                    )
                    for price in tier.prices
                ),
                indemnity=tuple(
                    Cover(
                        use=use,
                        cap=None if cover.cap is None else more(cover.cap),
                        exclusions=tuple(sorted(set(cover.exclusions) - set(draw(subset(EXCLUSIONS))))),
                    )
                    for use, cover in covered.items()
                ),
            )
        )
    then = terms.withdrawal
    return terms.model_copy(
        update={
            "tiers": tuple(made),
            "revenue": terms.revenue.model_copy(update={"of": draw(st.sampled_from([terms.revenue.of, "licensee"]))}),
            "withdrawal": OnWithdrawal(
                outputs=stays(then.outputs),
                weights=stays(then.weights),
                prompting_days=less(then.prompting_days),
                owner_earns=then.owner_earns or draw(st.booleans()),
            ),
            "growth": OnGrowth(grace_days=more(terms.growth.grace_days), outputs=stays(terms.growth.outputs)),
            "breach": OnBreach(cure_days=more(terms.breach.cure_days), outputs=stays(terms.breach.outputs)),
        }
    )
