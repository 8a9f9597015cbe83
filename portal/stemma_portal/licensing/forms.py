"""What the pages of licenses ask for."""

import json
from typing import Any

from django import forms

from stemma.rights.entitlement import KEY_SCOPES
from stemma.rights.offline import Binding, public_key
from stemma.royalties.receipts import MAX_BYTES

SCOPES = {"generate": "Make music", "read": "Fetch what was made, and who shaped it"}


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        label="Name of the key", max_length=100, help_text="Where it will be used, such as “staging server”."
    )
    scopes = forms.MultipleChoiceField(
        label="What it is for",
        choices=[(scope, SCOPES[scope]) for scope in KEY_SCOPES],
        initial=list(KEY_SCOPES),
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.IntegerField(
        label="Days it holds",
        min_value=1,
        max_value=3660,
        required=False,
        help_text="Empty: as long as the license.",
    )


class RotationForm(forms.Form):
    """A key in the place of another."""

    hours = forms.IntegerField(
        label="Hours for which both hold",
        min_value=0,
        max_value=720,
        initial=24,
        help_text="Time to put the new key where the old one is.  With 0 the old one ends at once.",
    )


class FileForm(forms.Form):
    """A license file for machines without a connection."""

    kind = forms.ChoiceField(
        label="Where it holds",
        choices=[("", "On any machine"), ("machine", "On one machine"), ("cluster", "In one cluster")],
        required=False,
    )
    binding = forms.RegexField(
        label="Hash of the machine or cluster",
        regex=r"^[0-9a-f]{64}$",
        required=False,
        help_text="What “stemma license machine” prints there.",
    )
    keys = forms.CharField(
        label="Receipt keys",
        required=False,
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What “stemma license receipts key” prints on each machine that counts its use, one a line.",
    )

    def clean_keys(self) -> list[dict[str, str]]:
        """Public keys, one a line."""
        try:
            return [public_key(json.loads(line)) for line in self.cleaned_data["keys"].splitlines() if line.strip()]
        except (ValueError, AttributeError) as error:
            raise forms.ValidationError("Not every line is a public key as the command prints it.") from error

    def clean(self) -> dict[str, Any]:
        """A kind and its hash come together."""
        given: dict[str, Any] = super().clean() or {}
        kind, digest = given.get("kind"), given.get("binding")
        if bool(kind) != bool(digest) and "binding" not in self.errors:
            self.add_error("binding", "Choose where it holds and give the hash, or neither.")
        elif kind:
            given["bound"] = Binding(kind=kind, sha256=str(digest))
        return given


class ReceiptsForm(forms.Form):
    """Receipts of use, brought on a medium."""

    file = forms.FileField(
        label="Receipts",
        help_text=f"The file that “stemma license receipts export” wrote, up to {MAX_BYTES // 1024 // 1024} MB.",
    )

    def clean_file(self) -> bytes:
        """What is in it."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise forms.ValidationError("This file is too large.  Export fewer receipts at a time.")
        return bytes(file.read())


class AcceptForm(forms.Form):
    """A later version of the terms in place of the one held."""

    covenant = forms.CharField(max_length=64, widget=forms.HiddenInput)
    replaces = forms.CharField(max_length=64, widget=forms.HiddenInput)
    agree = forms.BooleanField(
        label="I may act for the licensee, and I accept this version. This cannot be undone.",
        error_messages={"required": "Without your yes nothing changes."},
    )
