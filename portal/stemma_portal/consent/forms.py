"""What a rights-holder says yes to."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, get_args

from django import forms

from stemma.ids import now
from stemma.rights.consent import Scope
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


class GrantForm(forms.Form):
    """The terms of a grant."""

    recordings = forms.ChoiceField(label="Which recordings", widget=forms.RadioSelect, initial="all")
    chosen = forms.CharField(required=False, widget=forms.HiddenInput)
    scopes = forms.MultipleChoiceField(
        label="What may be done with them",
        choices=[(name, f"{title}. {told}") for name, (title, told) in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one: a grant without one allows nothing."},
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
        choices = [("all", f"All {available} recordings in which we have a share and whose source is free")]
        if chosen:
            choices.append(("chosen", f"Only the {chosen} chosen"))
        self.fields["recordings"].choices = choices  # type: ignore[attr-defined]

    def clean_valid_until(self) -> datetime | None:
        """The end of the day named, in UTC."""
        day = self.cleaned_data["valid_until"]
        if day is None:
            return None
        end = datetime.combine(day, time.max, tzinfo=UTC).replace(microsecond=999000)
        if end <= now():
            raise forms.ValidationError("This day has passed. Choose a later one, or leave it empty.")
        return end


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
