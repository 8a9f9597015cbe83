"""Figures of snapshots and releases for their pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, Sum
from django.utils.safestring import SafeString

from stemma.errors import NotFoundError, UnavailableError
from stemma.rights.covenant import AnyCovenant, Use
from stemma.rights.snapshot import Offence
from stemma.storage import storage
from stemma_portal.catalog.models import Party
from stemma_portal.design.markdown import rendered
from stemma_portal.design.svg.bars import curve
from stemma_portal.design.svg.interval import interval
from stemma_portal.licensing.selectors import prices_told
from stemma_portal.operations.models import Snapshot

PRODUCTION_KEY = "releases/production.json"
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FRESH = 10
"""Seconds for which the name of the production release is remembered."""


@dataclass(frozen=True)
class Repertoire:
    """How much of a snapshot one repertoire is."""

    style: str
    recordings: int
    composers: int
    milliseconds: int

    @property
    def title(self) -> str:
        """In words."""
        return self.style.replace("-", " ").capitalize()

    @property
    def authors(self) -> str:
        """Its composers in words."""
        if not self.composers:
            return "anonymous"
        return f"{self.composers} composer{'s' if self.composers != 1 else ''}"


def repertoires(snapshot: Snapshot) -> list[Repertoire]:
    """The repertoires of a snapshot, the largest first."""
    rows = (
        snapshot.members.values("style")
        .annotate(
            n=Count("id"),
            composers=Count("work__composer", distinct=True, filter=~Q(work__composer="")),
            ms=Sum("duration_ms"),
        )
        .order_by("-n", "style")
    )
    return [Repertoire(row["style"], row["n"], row["composers"], row["ms"]) for row in rows]


def composers(snapshot: Snapshot) -> int:
    """How many composers a snapshot brings together."""
    return snapshot.members.exclude(work__composer="").values("work__composer").distinct().count()


@dataclass(frozen=True)
class Offender:
    """A recording that the gate refuses: by which rules, why, and what would mend it."""

    recording: str
    title: str
    rules: list[str]
    reasons: list[str]
    remedies: list[str]


def offenders(found: Iterable[Offence]) -> list[Offender]:
    """Offences by recording, with owners by their names."""
    rows: dict[str, Offender] = {}
    listed = list(found)
    named = dict(Party.objects.values_list("id", "name")) if listed else {}
    for offence in listed:
        row = rows.setdefault(offence.recording, Offender(offence.recording, offence.title, [], [], []))
        reason = _IDENTIFIER.sub(lambda match: named.get(match[0], match[0]), offence.reason)
        for kept, value in ((row.rules, offence.rule), (row.reasons, reason), (row.remedies, offence.remedy)):
            if value not in kept:
                kept.append(value)
    return sorted(rows.values(), key=lambda row: row.title)


def by_rule(found: Iterable[Offence]) -> list[tuple[str, int]]:
    """How many recordings break each rule, the most frequent first."""
    return Counter(rule for _, rule in {(offence.recording, offence.rule) for offence in found}).most_common()


def production() -> str | None:
    """The release that serving loads, as object storage says; None where there is none."""
    known = cache.get(PRODUCTION_KEY)
    if known is None:
        try:
            known = str(storage().get_json(PRODUCTION_KEY)["release"])
        except (NotFoundError, UnavailableError, KeyError, ValueError):
            known = ""
        cache.set(PRODUCTION_KEY, known, FRESH)
    return known or None


def flat(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Every single figure of a release under its path, in order; series are left to the curve."""
    found: list[tuple[str, Any]] = []
    for name, value in metrics.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found += flat(value, f"{path} · ")
        elif isinstance(value, bool | str) or value is None:
            found.append((path, value))
        elif isinstance(value, int | float):
            found.append((path, value if isinstance(value, int) else round(value, 4)))
    return found


@dataclass(frozen=True)
class Highlight:
    """A figure to be read first."""

    title: str
    value: str


HIGHLIGHTS = (
    ("nats_per_note", "nats per note, on works it never heard", "{:.3f}"),
    ("baseline_nats_per_note", "nats per note of an n-gram model, to beat", "{:.3f}"),
    ("decoded", "of its pieces decode", "{:.0%}"),
    ("longest_run", "notes in a row, at most, as in a trained work", "{:.0f}"),
    ("error", "squared error of a latent, on works it never heard", "{:.3f}"),
    ("silent_error", "squared error of silence, to beat", "{:.3f}"),
    ("sounding", "of its pieces are to be heard", "{:.0%}"),
    ("longest_echo_ms", "milliseconds on end, at most, as in a recording", "{:,.0f}"),
)
"""The figures of `stemma.training.evaluation` and `.latent` that people ask for first."""


def highlights(metrics: Mapping[str, Any]) -> list[Highlight]:
    """Those that the release has."""
    return [
        Highlight(title=title, value=shape.format(metrics[name]))
        for name, title, shape in HIGHLIGHTS
        if isinstance(metrics.get(name), int | float)
    ]


@dataclass(frozen=True)
class StyleTable:
    """What was measured of each style; where the trained works were measured too, theirs stands beside."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[Any, Any]]]]


def style_table(metrics: Mapping[str, Any]) -> StyleTable | None:
    """The figures by style, where the release has them."""
    styles = metrics.get("styles")
    if not isinstance(styles, Mapping) or not styles:
        return None
    names = [name for name in next(iter(styles.values())) if not name.endswith("_real")]
    rows = [
        (style, [(figures.get(name), figures.get(f"{name}_real")) for name in names])
        for style, figures in sorted(styles.items())
    ]
    return StyleTable(columns=names, rows=rows)


def training_curve(metrics: Mapping[str, Any]) -> SafeString | None:
    """Validation loss over the run, where the release brings its course: `curve` as [step, loss] pairs."""
    points = [(float(step), float(loss)) for step, loss in metrics.get("curve", [])]
    return curve(points, label="Validation loss over training steps") if len(points) > 1 else None


@dataclass(frozen=True)
class Fidelity:
    """How well attribution foretells what leaving recordings out does: rank correlation (LDS) with its interval."""

    lds: float
    low: float
    high: float
    picture: SafeString
    ceiling: float | None
    """What a perfect prediction could reach, given the noise of training."""
    slope: float | None
    """Measured effect of owners for each unit predicted; 1 is right."""
    words: SafeString | None
    """The whole card: similarities it is compared with, sizes, small repertoires, what it cannot say."""


def fidelity(release: str) -> Fidelity | None:
    """As the release's attribution store or its card tells it; None where neither does, or it cannot be read now."""
    card = _stored(f"fidelity/{release}/fidelity.json")
    said = _stored(f"stores/{release}/manifest.json")
    try:
        fact = said if said.get("lds") is not None else card["fact"]
        lds, low, high = (float(fact[name]) for name in ("lds", "lds_low", "lds_high"))
        ceiling = card["lds"]["generated"]["works"]["this method"]["ceiling"] if card else None
        slope = float(card["calibration"]["slope"]) if card else None
        words = rendered(storage().get(f"fidelity/{release}/fidelity.md").decode()) if card else None
    except (NotFoundError, UnavailableError, KeyError, TypeError, ValueError):
        return None
    label = f"Fidelity of attribution: {lds:.2f}, between {low:.2f} and {high:.2f}"
    return Fidelity(lds, low, high, interval(lds, low, high, label=label), ceiling, slope, words)


def _stored(key: str) -> dict[str, Any]:
    try:
        found = storage().get_json(key)
    except (NotFoundError, UnavailableError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def works(snapshot: Snapshot) -> int:
    """How many works the recordings of a snapshot are of."""
    return snapshot.members.values("work").distinct().count()


WEIGHTS_USES: tuple[Use, ...] = ("open_weights", "fine_tuning", "redistribution", "embedding", "broadcast")
"""Uses for which one needs the weights, or what was made with them."""


@dataclass(frozen=True)
class MayRow:
    """What a tier may do with weights."""

    title: str
    may: list[bool]
    """In the order of `WEIGHTS_USES`."""
    free: bool


def tiers_may(terms: AnyCovenant) -> list[MayRow]:
    """What each tier of some terms may do with weights."""
    return [
        MayRow(tier.title, [use in tier.uses for use in WEIGHTS_USES], free=not prices_told(terms, tier.name))
        for tier in terms.tiers
    ]
