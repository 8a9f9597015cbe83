"""Figures and names of license terms in words, for comparisons and for the text of a covenant."""

from __future__ import annotations

from collections.abc import Sequence

from stemma.rights.prices import Price

MAY = {
    "api_outputs": "use what the API makes",
    "open_weights": "run the weights",
    "fine_tuning": "fine-tune the weights",
    "redistribution": "pass the weights on",
    "embedding": "build the model into products",
    "broadcast": "broadcast outputs",
}
"""What each use allows, after “may”."""


def amount(micro: int, currency: str) -> str:
    """Micro-units as an amount, to the last of them that is not zero, and at least to the cent."""
    whole, rest = divmod(micro, 1_000_000)
    digits = f"{rest:06d}".rstrip("0")
    return f"{currency} {whole:,}.{digits:0<2}" if micro else "free"


def priced(price: Price | None, currency: str) -> str:
    """A price with its steps."""
    if price is None:
        return amount(0, currency)
    if price.way == "package":
        return f"{amount(price.steps[0].price, currency)} for each {price.package:,}"
    beyond = " beyond" if len(price.steps) > 1 else ""
    steps = [
        amount(each.price, currency) + (f" up to {each.up_to:,}" if each.up_to else beyond) for each in price.steps
    ]
    return ", ".join(steps) + (", each for the whole quantity" if beyond and price.way == "volume" else "")


def percent(ppm: int) -> str:
    """Parts per million as a percentage, exactly."""
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + " %"


def releases(models: Sequence[str]) -> str:
    """Model releases that terms name; none named: all."""
    told = [f"every release of {name[:-2]}" if name.endswith("/*") else name for name in models]
    return ", ".join(told) or "every model"


def days(count: int) -> str:
    """A number of days."""
    return f"{count} day{'' if count == 1 else 's'}" if count else "none"


def words(name: str) -> str:
    """A name of the terms, in words."""
    return _WORDS.get(name, name.replace("_", " "))


_WORDS = {
    "altered_after": "what was altered after it was handed over",
    "notice_removed": "outputs without the notice that they must carry",
    "other_training_data": "weights tuned on music that is not licensed",
    "prompted_likeness": "outputs asked to sound like a named person",
    "filters_off": "outputs made while a filter was off",
    "no_attribution": "weights used without the attribution that goes with them",
    "last_fiscal_year": "in the last fiscal year",
    "last_twelve_months": "in the last twelve months",
}
