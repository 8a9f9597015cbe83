"""What the pages about money ask for."""

from __future__ import annotations

import pycountry
from django import forms

from stemma.errors import InvalidError
from stemma_portal.royalties.payees import Payee, payee_checked

COUNTRIES = sorted(((c.alpha_2, getattr(c, "common_name", c.name)) for c in pycountry.countries), key=lambda c: c[1])


class PaymentForm(forms.Form):
    """Where the money is to go."""

    holder = forms.CharField(label="Account holder", max_length=140, help_text="As the bank has the name.")
    iban = forms.CharField(
        label="IBAN",
        max_length=50,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}),
    )
    bic = forms.CharField(
        label="BIC",
        max_length=14,
        required=False,
        help_text="Leave it empty: it follows from the IBAN in most countries.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    address = forms.CharField(
        label="Address of the holder", max_length=500, widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"})
    )
    tax_country = forms.ChoiceField(label="Country of tax residence", choices=[("", "Choose a country"), *COUNTRIES])
    tax_number = forms.CharField(
        label="Tax number", max_length=40, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def clean(self) -> dict[str, object]:
        """An IBAN and a BIC that can be, and belong together."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        given = {name: str(cleaned[name]) for name in self.fields}
        try:
            cleaned["payee"] = payee_checked(Payee(**given))
        except InvalidError as error:
            field = error.code if error.code in self.fields else "iban"
            self.add_error(field, f"{error.message} {error.remedy}")
        return cleaned
