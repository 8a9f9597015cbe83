"""What the pages of certificates ask for."""

from __future__ import annotations

from django import forms

from stemma.provenance.certificate import Contribution

DEEDS = [("", "–"), ("written", "Wrote"), ("played", "Played"), ("arranged", "Arranged")]
ROWS = 6
"""People that the page asks for at once; the API takes fifty."""


class FileForm(forms.Form):
    """A file whose certificate is looked for."""

    file = forms.FileField(label="File", help_text="FLAC, WAV, MP3 or MIDI, up to 32 MiB.")


class PersonForm(forms.Form):
    """One person's part; an empty row is left out."""

    name = forms.CharField(label="Who", max_length=200, required=False)
    deed = forms.ChoiceField(label="Did", choices=DEEDS, required=False)
    what = forms.CharField(label="What", max_length=500, required=False)

    def clean(self) -> dict[str, object]:
        """A name and a deed belong together."""
        given = super().clean() or {}
        if given.get("name") and not given.get("deed"):
            self.add_error("deed", "Say what this person did.")
        if (given.get("deed") or given.get("what")) and not given.get("name"):
            self.add_error("name", "Say who did it.")
        return given


PeopleForm = forms.formset_factory(PersonForm, extra=ROWS, max_num=ROWS)


def contributions(people: forms.BaseFormSet[PersonForm]) -> list[Contribution]:
    """What was stated in a valid form."""
    rows = (row.cleaned_data for row in people.forms)
    return [Contribution(name=r["name"], deed=r["deed"], what=r["what"]) for r in rows if r.get("name")]
