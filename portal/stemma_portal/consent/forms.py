"""What a rights-holder says yes to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, get_args

from django import forms

from stemma.ids import now, timestamp
from stemma.rights.consent import Condition, Scope
from stemma.rights.shares import WORLD

SCOPES: dict[str, tuple[str, str]] = {
    "ai_generative_training": (
        "Training of generative models",
        "A model may learn from these recordings and make new music.",
    ),
    "open_weights_release": (
        "Release of weights",
        "A model that learned from them may be published, for others to run.",
    ),
    "fine_tuning": ("Fine-tuning", "Licensees may adapt a released model with these recordings."),
    "style_prompting": ("Style prompting", "People may ask for music in the style of these recordings."),
    "ai_inference": (
        "Use as input",
        "A model may be given these recordings while it makes something, without learning from them.",
    ),
    "ai_training": ("Training of other models", "Models that recognise or sort music may learn from them."),
    "data_mining": ("Text and data mining", "They may be analysed for patterns and statistics."),
}
"""Each scope in plain words, the ones that matter most first."""
TERRITORIES = [
    (WORLD, "The whole world"),
    *(
        (code, code)
        for code in ("AT", "AU", "BR", "CA", "CH", "DE", "DK", "ES", "FI", "FR", "GB", "IE", "IN", "IT", "JP")
    ),
    *((code, code) for code in ("KR", "MX", "NL", "NO", "PL", "PT", "SE", "US", "ZA")),
]
assert set(SCOPES) == set(get_args(Scope)), "every scope is told in plain words"  # noqa: S101 - a page must not hide one


USES = (
    ("refused", "Refused"),
    ("allowed", "Allowed"),
    ("constrained", "Only under the conditions below"),
)
FAMILIES = (("symbolic", "Models that write notes"), ("latent", "Models that make sound"))
CONDITIONS = ("countries", "until_day", "families", "same_covenant", "creators", "minute_fee")


def _end_of(day: date | None) -> datetime | None:
    """The end of a day that has not passed."""
    if day is None:
        return None
    end = datetime.combine(day, time.max, tzinfo=UTC).replace(microsecond=999000)
    if end <= now():
        raise forms.ValidationError("This day has passed. Choose a later one, or leave it empty.")
    return end


class GrantForm(forms.Form):
    """The terms of a grant: each scope is refused, allowed, or allowed under conditions."""

    recordings = forms.ChoiceField(label="Which recordings", widget=forms.RadioSelect, initial="all")
    chosen = forms.CharField(required=False, widget=forms.HiddenInput)
    releases = forms.CharField(required=False, widget=forms.HiddenInput)
    countries = forms.CharField(
        label="Only in these countries",
        required=False,
        max_length=1000,
        help_text="Two-letter codes (ISO 3166-1) with commas or spaces between, such as DE, FR. "
        "Empty: wherever the grant holds.",
    )
    until_day = forms.DateField(
        label="Only until this day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The day itself still counts, in UTC. What is allowed without conditions goes on after it.",
    )
    families = forms.MultipleChoiceField(
        label="Kinds of model",
        required=False,
        choices=FAMILIES,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: every kind.",
    )
    same_covenant = forms.BooleanField(
        label="Only under today’s covenant, and under no later version of it", required=False
    )
    creators = forms.DecimalField(
        label="At least this part of every revenue to creators, in %",
        required=False,
        min_value=0,
        max_value=100,
        decimal_places=4,
    )
    minute_fee = forms.DecimalField(
        label="At least this price a generated minute, for those who pay",
        required=False,
        min_value=0,
        max_value=1_000_000,
        decimal_places=6,
        help_text="In the covenant’s currency.",
    )
    territory = forms.ChoiceField(label="Where", choices=TERRITORIES, initial=WORLD)
    valid_until = forms.DateField(
        label="Until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Leave empty for a grant that holds until you withdraw it.",
    )

    def __init__(self, *args: Any, available: int, chosen: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.available = available
        all_of_them = "The recording" if available == 1 else f"All {available:,} recordings"
        choices = [("all", f"{all_of_them} in which we have a share and whose source is free")]
        if chosen:
            choices.append(("chosen", f"Only the {chosen} chosen"))
        self.fields["recordings"].choices = choices  # type: ignore[attr-defined]
        for scope, (title, told) in SCOPES.items():
            self.fields[f"use_{scope}"] = forms.ChoiceField(
                label=title, help_text=told, choices=USES, widget=forms.RadioSelect, initial="refused"
            )

    def uses(self) -> Iterator[forms.BoundField]:
        """What is asked of each scope."""
        return (self[f"use_{scope}"] for scope in SCOPES)

    def conditions(self) -> Iterator[forms.BoundField]:
        """What is asked of those that hold under conditions."""
        return (self[name] for name in CONDITIONS)

    def clean_valid_until(self) -> datetime | None:
        """The end of the day named, in UTC."""
        return _end_of(self.cleaned_data["valid_until"])

    def clean_until_day(self) -> datetime | None:
        """The end of the day named, in UTC."""
        return _end_of(self.cleaned_data["until_day"])

    def clean_countries(self) -> tuple[str, ...]:
        """The codes, sorted, each once."""
        codes = tuple(sorted({*re.findall(r"[^\s,;]+", self.cleaned_data["countries"].upper())}))
        if wrong := [code for code in codes if not re.fullmatch(r"[A-Z]{2}", code)]:
            raise forms.ValidationError(f"{wrong[0]} is no country. Write two letters each, such as DE, FR.")
        return codes

    def clean(self) -> dict[str, Any]:
        """`scopes` that are allowed in some way, and `conditions` of some of them."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        use = {scope: data.get(f"use_{scope}", "refused") for scope in SCOPES}
        data["scopes"] = [scope for scope, said in use.items() if said != "refused"]
        bound = [scope for scope, said in use.items() if said == "constrained"]
        data["conditions"] = {}
        self._check_reach(data)
        if not data["scopes"]:
            self.add_error(f"use_{next(iter(SCOPES))}", "Choose at least one: a grant without one allows nothing.")
        elif bound and not self.errors:
            named = self._condition(data)
            if named is None:
                self.add_error("families", "Name at least one condition, or choose Allowed above.")
            else:
                data["conditions"] = dict.fromkeys(bound, named)
        return data

    def _check_reach(self, data: dict[str, Any]) -> None:
        """A condition narrows the grant: outside of it nothing could ever hold."""
        where, countries = data.get("territory", WORLD), data.get("countries") or ()
        if where != WORLD and countries and where not in countries:
            self.add_error(
                "countries", f"The grant holds in {where} alone. Name {where} too, or let it hold everywhere."
            )
        until, day = data.get("valid_until"), data.get("until_day")
        if until and day and day > until:
            self.add_error("until_day", "The grant ends before this day. Choose an earlier one, or leave it empty.")

    def _condition(self, data: dict[str, Any]) -> Condition | None:
        """What the fields name, exactly: parts of a million, and millionths of the currency."""

        def millionths(value: Decimal | None, unit: int) -> int | None:
            return None if value is None else int(value * unit)

        named = {
            "territories": data["countries"],
            "until": timestamp(data["until_day"]) if data["until_day"] else None,
            "families": tuple(sorted(data["families"])),
            "same_covenant": data["same_covenant"],
            "creators_ppm": millionths(data["creators"], 10_000),
            "minute_fee": millionths(data["minute_fee"], 1_000_000),
        }
        said = {name: value for name, value in named.items() if value not in ((), False, None)}
        return Condition(**said) if said else None


class SignForm(GrantForm):
    """The same terms, and the yes to them."""

    agree = forms.BooleanField(
        label="I may sign for this rights-holder, and I grant what is written here.",
        error_messages={"required": "Without your yes nothing is granted."},
    )


class WithdrawForm(forms.Form):
    """The end of a grant."""

    recording = forms.UUIDField(required=False, widget=forms.HiddenInput)
    agree = forms.BooleanField(
        label="I withdraw it. This cannot be undone; a new grant can be made.",
        error_messages={"required": "Without your yes nothing is withdrawn."},
    )


class InviteForm(forms.Form):
    """Whom to ask in for an owner."""

    email = forms.EmailField(max_length=254)
