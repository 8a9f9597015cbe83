"""Naming a custodian, and answering for one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from stemma.errors import StemmaError
from stemma.rights.identifiers import ipi, isni
from stemma_portal.catalog.custody import CONDITIONS, LONGEST
from stemma_portal.catalog.custody_access import custodians
from stemma_portal.catalog.models import Party, Recording


class CustodyForm(forms.Form):
    """Who looks after recordings, and under which terms."""

    which = forms.ChoiceField(label="Which recordings", widget=forms.RadioSelect)
    custodian = forms.CharField(
        label="Custodian",
        max_length=200,
        help_text="The name, IPI or ISNI of a party whose organisation has an account here: it has to answer.",
    )
    community = forms.CharField(
        label="Community, as it is named in credits",
        max_length=200,
        required=False,
        help_text="Leave empty where that is the custodian’s own name.",
    )
    conditions = forms.MultipleChoiceField(
        label="What the platform keeps by itself",
        required=False,
        choices=[(name, f"{title}. {told}") for name, (title, told) in CONDITIONS.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    terms = forms.CharField(
        label="Terms, in words",
        max_length=LONGEST,
        required=False,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="Shown with the recordings to everybody who sees them.",
    )

    def __init__(self, *args: Any, recording: Recording, allowed: QuerySet[Recording], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        same = allowed.filter(organisation=recording.organisation)
        self.wanted = {"recording": allowed.filter(id=recording.id)}
        choices = [("recording", f"Only “{recording.title}”")]
        if recording.release is not None:
            self.wanted["release"] = same.filter(release=recording.release)
            choices.append(("release", f"All {self.wanted['release'].count():,} of the release “{recording.release}”"))
        if recording.collection:
            self.wanted["collection"] = same.filter(collection=recording.collection)
            count = self.wanted["collection"].count()
            choices.append(("collection", f"All {count:,} of the collection “{recording.collection}”"))
        self.fields["which"].choices = choices  # type: ignore[attr-defined]
        self.fields["which"].initial = "recording"

    def clean_custodian(self) -> Party:
        """The one party that is meant, and that can answer."""
        text = self.cleaned_data["custodian"].strip()
        named = Q(name__iexact=text) | Q(organisations__name__iexact=text)
        for field, read in (("ipi", ipi), ("isni", isni)):
            try:
                named |= Q(**{field: read(text)})
            except StemmaError:
                continue
        found = list(custodians().filter(named)[:2])
        if not found:
            raise forms.ValidationError("No party of this name can answer here. Invite its organisation first.")
        if len(found) > 1:
            raise forms.ValidationError("Several parties have this name: give the IPI or ISNI.")
        return found[0]

    def clean(self) -> dict[str, Any]:
        """Terms say something, or a condition is chosen."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not cleaned["terms"].strip() and not cleaned["conditions"]:
            self.add_error("terms", "Write the terms, or choose a condition above.")
        return cleaned


class AnswerForm(forms.Form):
    """A custodian's word."""

    note = forms.CharField(
        label="A note to whoever asks",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
