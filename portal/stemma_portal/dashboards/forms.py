"""What the pages of this app ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from stemma.models.protocol import KEYS, MAX_BARS, MAX_PROMPT
from stemma.proof.log import Kind
from stemma_portal.catalog.models import ShareConfirmation

SOURCES = [("", "Any source"), ("free", "Free source"), ("not-free", "Source not free")]
SOUNDS = [("", "With or without"), ("yes", "Sound is here"), ("no", "No sound yet")]
PLACES = [("", "All"), ("up", "In the catalog"), ("held", "Under claim"), ("down", "Taken down")]


KINDS = [("", "Every kind"), *((kind, kind.capitalize()) for kind in get_args(Kind))]


class PlainSelect(forms.Select):
    """A select put together without a template for each of its options, of which a filter has many."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:  # noqa: ARG002 - Django's signature
        """The element."""
        chosen = "" if value is None else str(value)
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            ((key, mark_safe(" selected") if str(key) == chosen else "", title) for key, title in self.choices),
        )
        return format_html("<select{}>{}</select>", flatatt({**self.build_attrs(attrs or {}), "name": name}), options)


class LogFilter(forms.Form):
    """Which entries of the log are looked at."""

    kind = forms.ChoiceField(required=False, label="Kind", choices=KINDS, widget=PlainSelect)


class RecordingFilter(forms.Form):
    """Finding recordings."""

    q = forms.CharField(
        required=False,
        max_length=200,
        label="Search",
        widget=forms.TextInput(attrs={"placeholder": "Title, artist, composer, release, ISRC, UPC, your number"}),
    )
    style = forms.ChoiceField(required=False, label="Repertoire", widget=PlainSelect)
    source = forms.ChoiceField(required=False, label="Source", choices=SOURCES, widget=PlainSelect)
    sound = forms.ChoiceField(required=False, label="Sound", choices=SOUNDS, widget=PlainSelect)
    state = forms.ChoiceField(required=False, label="State", choices=PLACES, widget=PlainSelect)
    organisation = forms.ChoiceField(required=False, label="Brought by", widget=PlainSelect)
    release = forms.CharField(required=False, max_length=36, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, styles: Iterable[str], organisations: Iterable[tuple[str, str]] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        brought = [("", "Anybody"), *organisations]
        if len(brought) > 1:
            self.fields["organisation"].choices = brought  # type: ignore[attr-defined]
        else:
            del self.fields["organisation"]
        known = [("", "Every repertoire"), *((style, style.replace("-", " ").capitalize()) for style in styles)]
        self.fields["style"].choices = known  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.required = False
            field.label_suffix = ""


class ReleaseFilter(forms.Form):
    """Finding releases."""

    q = forms.CharField(
        required=False,
        max_length=200,
        label="Search",
        label_suffix="",
        widget=forms.TextInput(attrs={"placeholder": "Title, artist, UPC"}),
    )


class DuplicateFilter(forms.Form):
    """Which likely duplicates to show."""

    state = forms.ChoiceField(
        required=False,
        label="Show",
        label_suffix="",
        choices=[("open", "What waits for a decision"), ("merged", "Merged"), ("separate", "Separated")],
    )


class ShareDateForm(forms.Form):
    """From when shares are to hold, and why they change."""

    valid_from = forms.DateField(
        label="In force from", widget=forms.DateInput(attrs={"type": "date"}), help_text="Today, or a later day"
    )
    why = forms.CharField(
        label="Why", required=False, max_length=150, help_text="Such as a contract's number; it stands in the history"
    )


class AnswerForm(forms.Form):
    """A party's yes or no to its share."""

    answer = forms.ChoiceField(choices=ShareConfirmation.Answer.choices)
    note = forms.CharField(required=False, max_length=2000)


class GenerationForm(forms.Form):
    """What to make.  Everything but the key may be left to the model."""

    prompt = forms.CharField(
        required=False,
        max_length=MAX_PROMPT,
        label="In words",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "A slow chorale in a minor key, ending in the major"}),
    )
    style = forms.ChoiceField(required=False, label="Style")
    key = forms.ChoiceField(
        required=False, label="Key", choices=[("", "The model chooses"), *((key, key) for key in KEYS)]
    )
    tempo = forms.FloatField(
        required=False, min_value=30, max_value=240, label="Tempo", help_text="Quarter notes a minute, 30 to 240"
    )
    bars = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_BARS, label="Bars", help_text=f"1 to {MAX_BARS}"
    )
    instruments = forms.CharField(
        required=False,
        max_length=400,
        label="Instruments",
        help_text="One per part from the top, with commas between, such as violin, viola, cello",
        widget=forms.TextInput(attrs={"list": "instruments", "autocomplete": "off"}),
    )
    seed = forms.IntegerField(
        required=False, min_value=0, max_value=2**53 - 1, label="Seed", help_text="The same seed gives the same music"
    )

    def __init__(self, *args: Any, styles: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "The model chooses"), *((style, style.replace("-", " ").capitalize()) for style in styles)]
        self.fields["style"].choices = choices  # type: ignore[attr-defined]

    def request(self) -> dict[str, Any]:
        """The body for serving: only what was filled in."""
        body = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        if "instruments" in body:
            body["instruments"] = [name.strip() for name in body["instruments"].split(",") if name.strip()]
        return body


class KeyForm(forms.Form):
    """An API key of one's own, kept in the session on the server until one signs out."""

    api_key = forms.CharField(
        label="API key",
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
