"""What the pages of licenses ask for."""

from django import forms


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        label="Name of the key", max_length=100, help_text="Where it will be used, such as “staging server”."
    )


class AcceptForm(forms.Form):
    """A later version of the terms in place of the one held."""

    covenant = forms.CharField(max_length=64, widget=forms.HiddenInput)
    replaces = forms.CharField(max_length=64, widget=forms.HiddenInput)
    agree = forms.BooleanField(
        label="I may act for the licensee, and I accept this version. This cannot be undone.",
        error_messages={"required": "Without your yes nothing changes."},
    )
