"""What the pages of licenses ask for."""

from django import forms


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        label="Name of the key", max_length=100, help_text="Where it will be used, such as “staging server”."
    )
