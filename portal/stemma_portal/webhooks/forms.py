"""What the pages of webhooks ask for."""

from typing import Any

from django import forms

from stemma_portal.webhooks.services import EVENTS


class EndpointForm(forms.Form):
    """Where to tell, and what of."""

    url = forms.CharField(
        label="Address",
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/stemma", "autocomplete": "off"}),
        help_text="An https address of yours on the public internet.",
    )
    events = forms.MultipleChoiceField(
        label="What it is told of",
        required=False,
        choices=[(name, f"{name}: {told}") for name, told in EVENTS.items() if name != "ping"],
        widget=forms.CheckboxSelectMultiple,
        help_text="Choose none to be told of everything, also of what is added later.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.label_suffix = ""
