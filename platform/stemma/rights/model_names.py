"""Names of model releases, as terms and licenses write them: one, those of a model, or all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

EVERY_MODEL = ("*",)
_MODEL = re.compile(r"\*|[a-z0-9][a-z0-9-]{0,63}/(\*|[0-9]{1,9})")


def is_models(name: str) -> bool:
    """Whether this names model releases: `*` all, `house-symbolic/*` those of a model, `house-symbolic/2` one."""
    return _MODEL.fullmatch(name) is not None


def covers(models: Sequence[str], release: str) -> bool:
    """Whether these models have a release, or all that a name such as `house-symbolic/*` stands for, among them."""
    return "*" in models or release in models or f"{release.partition('/')[0]}/*" in models


def within(some: Iterable[str], models: Sequence[str]) -> bool:
    """Whether these models have all of `some` among them, releases that are still to come included."""
    return all(covers(models, name) for name in some)


def shortest(models: Iterable[str]) -> tuple[str, ...]:
    """The same models in the one way to write them: sorted, and none that another of the names covers."""
    names = sorted(set(models))
    return tuple(name for name in names if not covers([other for other in names if other != name], name))


def common(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """The models that both have; empty where they share none.  What the other covers stays as it is written."""
    if within(one, other):
        return tuple(one)
    return shortest([name for name in one if covers(other, name)] + [name for name in other if covers(one, name)])
