"""Figures in words, badges, icons and the mark."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString

from stemma_portal.design.svg.bars import bar as draw_bar
from stemma_portal.design.svg.roll import empty as draw_empty
from stemma_portal.design.svg.waveform import thumbnail as draw_thumbnail

register = template.Library()

THIN, MINUS = "\N{NARROW NO-BREAK SPACE}", "\N{MINUS SIGN}"
SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
MICRO = 1_000_000
CENT = 10_000
STATES = {
    "consented": ("good", "Consented"),
    "unconsented": ("quiet", "No consent"),
    "withdrawn": ("warn", "Withdrawn"),
    "claimed": ("bad", "Under claim"),
    "not-free": ("bad", "Source not free"),
    "partial": ("warn", "Partly consented"),
    "reserved": ("warn", "Reserved: to settle"),
    "withheld": ("warn", "Custodian not agreed"),
    "proposed": ("warn", "Waits for an answer"),
    "in-force": ("good", "In force"),
    "declined": ("quiet", "Declined"),
    "wider": ("good", "Wider"),
    "equal": ("quiet", "The same"),
    "narrower": ("bad", "Narrower"),
    "incomparable": ("warn", "Neither wider nor narrower"),
    "earlier": ("quiet", "No longer in force"),
    "agreed": ("good", "Agreed"),
    "taken-back": ("warn", "Taken back"),
    "accepted": ("good", "Accepted"),
    "taken-down": ("quiet", "Taken down"),
    "merged": ("good", "Merged"),
    "separate": ("quiet", "Separated"),
    "canonical": ("good", "Stands for all"),
    "received": ("warn", "Received"),
    "identified": ("warn", "Identified"),
    "unknown": ("quiet", "No output of yours"),
    "evidence-ready": ("warn", "Evidence ready"),
    "needs-more": ("warn", "Needs more"),
    "settled": ("good", "Settled"),
    "open": ("warn", "Open"),
    "closed": ("good", "Closed"),
    "resolved": ("good", "Resolved"),
    "answered": ("warn", "Answered"),
    "under-review": ("warn", "Under review"),
    "lapsed": ("quiet", "Lapsed"),
    "active": ("good", "Active"),
    "running": ("warn", "At work"),
    "done": ("good", "Done"),
    "failed": ("bad", "Failed"),
    "expired": ("quiet", "Expired"),
    "revoked": ("bad", "Revoked"),
    "production": ("good", "In production"),
    "demo": ("demo", "Demo"),
}
"""Tone and words of the states that badges show."""


@register.filter
def grouped(value: Any) -> str:
    """An integer with its thousands apart."""
    return f"{int(value or 0):,}".replace(",", THIN)


@register.filter
def money(micro: Any, currency: str = "USD") -> str:
    """Micro-units as an amount to the cent; less than a cent as finely as it is known.

    Shown figures are cut, never rounded up: a page must not promise a cent that is not there.
    """
    value = int(micro or 0)
    whole, rest = divmod(abs(value), MICRO)
    digits = f"{rest:06d}" if value and not whole and rest < CENT else f"{rest // CENT:02d}"
    return _amount(value, whole, digits, currency)


@register.filter
def exact(micro: Any, currency: str = "USD") -> str:
    """Micro-units to the last of them, as they are in the ledger."""
    value = int(micro or 0)
    whole, rest = divmod(abs(value), MICRO)
    return _amount(value, whole, f"{rest:06d}", currency)


@register.filter
def ppm(value: Any) -> str:
    """Parts per million as a percentage."""
    return _percent(int(value or 0), 10_000)


@register.filter
def share(value: Any) -> str:
    """Parts per million as a percentage, to the last of them: 33.3333 %."""
    whole, rest = divmod(int(value or 0), 10_000)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + f"{THIN}%"


@register.filter
def ppb(value: Any) -> str:
    """Parts per billion as a percentage."""
    return _percent(int(value or 0), 10_000_000)


@register.filter
def worth(value: Any) -> str:
    """A sum of shares in parts per billion, as so many whole pieces: what is cut off is less than a thousandth."""
    thousandths = int(value or 0) // 1_000_000
    if value and not thousandths:
        return f"<{THIN}0.001 of a piece"
    told = f"{thousandths // 1000:,}.{thousandths % 1000:03d}".rstrip("0").rstrip(".").replace(",", THIN)
    return f"{told} piece{'' if told == '1' else 's'}" if thousandths >= 1000 else f"{told} of a piece"


@register.filter
def percent(value: Any) -> str:
    """A share of one as a percentage."""
    return f"{100 * float(value):.1f}{THIN}%" if value not in (None, "") else "–"


@register.filter
def clock(milliseconds: Any) -> str:
    """A duration as minutes and seconds; a dash while nobody knows it."""
    if milliseconds is None:
        return "–"
    minutes, seconds = divmod(round(int(milliseconds) / 1000), 60)
    return f"{minutes}:{seconds:02d}"


@register.filter
def minutes(milliseconds: Any) -> str:
    """A duration in hours or minutes."""
    total = int(milliseconds or 0) / 60_000
    return f"{total / 60:,.1f}{THIN}h" if total >= 120 else f"{total:,.1f}{THIN}min"


@register.filter
def moment(value: Any) -> SafeString | str:
    """A moment in UTC, marked up for machines."""
    at = _moment(value)
    if at is None:
        return "–"
    shown = f"{at.day} {at:%b %Y, %H:%M} UTC"
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), shown)


@register.filter
def day(value: Any) -> SafeString | str:
    """A day."""
    at = _moment(value)
    return format_html('<time datetime="{}">{}</time>', at.date().isoformat(), f"{at.day} {at:%b %Y}") if at else "–"


@register.filter
def brief(value: Any, length: int = 12) -> SafeString | str:
    """The beginning of a hash or identifier, with the whole of it for those who ask."""
    text = str(value or "")
    if len(text) <= length:
        return format_html('<code class="hash">{}</code>', text)
    return format_html('<code class="hash" title="{}">{}…</code>', text, text[:length])


@register.filter
def tail(value: Any, length: int = 8) -> SafeString | str:
    """The end of an identifier: two UUIDv7 of one minute begin alike."""
    text = str(value or "")
    return format_html('<code class="hash" title="{}">…{}</code>', text, text[-length:])


@register.filter
def period(value: Any) -> str:
    """A year, or a century such as `17XX`, in words."""
    text = str(value or "")
    return f"{text[:2]}00–{text[:2]}99" if text.endswith("XX") else text or "Unknown"


@register.filter
def words(value: Any) -> str:
    """A machine's name as words: `open_weights_release` → `open weights release`."""
    return str(value or "").replace("_", " ").replace("-", " ")


@register.filter
def fixed(value: Any, places: int = 2) -> str:
    """A number with a fixed count of decimals."""
    return f"{float(value):.{places}f}".replace("-", MINUS) if value is not None and value != "" else "–"


@register.filter
def measure(value: Any) -> str:
    """A measured number, as finely as it can be read."""
    if not isinstance(value, int | float):
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.2f}".replace("-", MINUS)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    """A value of a mapping, or nothing."""
    return mapping.get(key) if mapping else None


@register.simple_tag
def badge(state: str, text: str = "") -> SafeString:
    """A state in a word, with a mark that does not depend on colour."""
    tone, known = STATES.get(state, ("quiet", words(state).capitalize()))
    return format_html('<span class="badge badge-{}">{}</span>', tone, text or known)


@register.simple_tag
def demo(thing: Any) -> SafeString | str:
    """The mark of a made-up rights-holder or organisation; nothing for a real one, or where the name says it."""
    made_up = getattr(thing, "demo", False) and not getattr(thing, "name", "").startswith("Demo:")
    return badge("demo") if made_up else ""


@register.simple_tag
def bar(part: Any, whole: Any, colour: str = "v1", low: Any = None, high: Any = None) -> SafeString:
    """A bar for a table's cell, with a whisker where an interval is known."""
    return draw_bar(float(part or 0), float(whole or 0), colour=colour, low=low, high=high)


@register.filter
def thumbnail(peaks: Any) -> SafeString | str:
    """The shape of a sound."""
    return draw_thumbnail(peaks) if peaks else ""


@register.simple_tag
def empty_staves() -> SafeString:
    """Staves that wait for music."""
    return draw_empty()


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon that says nothing to a screen reader: words stand beside it."""
    return render_to_string(f"icons/{name}.svg")


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: Any) -> str:
    """The current address's query with some values changed; empty ones leave it."""
    values = context["request"].GET.copy()
    for key, value in changes.items():
        if value in (None, ""):
            values.pop(key, None)
        else:
            values[key] = value
    return f"?{values.urlencode()}" if values else "?"


@register.inclusion_tag("design/field.html")
def field(bound: Any, hint: str = "") -> dict[str, Any]:
    """A form field with its label, help and errors, tied together for assistive technology."""
    described = [f"{bound.auto_id}-help"] if (hint or bound.help_text) else []
    if bound.errors:
        described.append(f"{bound.auto_id}-error")
    attributes: dict[str, str] = {"aria-describedby": " ".join(described)} if described else {}
    if bound.errors:
        attributes["aria-invalid"] = "true"
    widget = bound.as_widget(attrs=attributes)
    kind = getattr(bound.field.widget, "input_type", "")
    return {
        "field": bound,
        "widget": widget,
        "hint": hint or bound.help_text,
        # Where nothing is required, saying so at every field would be noise.
        "optional": not bound.field.required and any(each.required for each in bound.form.fields.values()),
        "check": kind == "checkbox" and not hasattr(bound.field, "choices"),
        "group": kind in {"radio", "checkbox"} and hasattr(bound.field, "choices"),
    }


def _amount(value: int, whole: int, digits: str, currency: str) -> str:
    sign = MINUS if value < 0 else ""
    return f"{sign}{SIGNS.get(currency, currency + THIN)}{whole:,}".replace(",", THIN) + f".{digits}"


def _percent(value: int, per_percent: int) -> str:
    """Enough digits to tell small shares apart."""
    figure = value / per_percent
    places = 2 if figure < 10 else 1
    if 0 < figure < 0.01:
        return f"<{THIN}0.01{THIN}%"
    return f"{figure:.{places}f}".rstrip("0").rstrip(".") + f"{THIN}%"


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = parse_datetime(value)
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC)
