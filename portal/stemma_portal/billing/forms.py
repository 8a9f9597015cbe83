"""What the pages of billing ask for."""

from __future__ import annotations

from typing import Any

import pycountry
from django import forms

from stemma.billing.money import parse
from stemma.errors import InvalidError
from stemma_portal.billing.models import RateTable

COUNTRIES = sorted(((c.alpha_2, getattr(c, "common_name", c.name)) for c in pycountry.countries), key=lambda c: c[1])
CURRENCIES = [(c, c) for c in ("USD", "EUR", "GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN", "CZK", "CAD", "AUD")]


class MoneyField(forms.CharField):
    """An amount, as micro-units."""

    def clean(self, value: object) -> int | None:
        """Digits with at most six decimals."""
        text = str(super().clean(value))
        if not text:
            return None
        try:
            return parse(text)
        except InvalidError as error:
            raise forms.ValidationError(str(error)) from error


class QuoteForm(forms.Form):
    """A tier and a time."""

    renews = forms.UUIDField(required=False, widget=forms.HiddenInput)
    tier = forms.ChoiceField(label="Tier")
    months = forms.IntegerField(label="Months", min_value=1, max_value=120, initial=12)
    seats = forms.IntegerField(
        label="Seats", min_value=0, max_value=100_000, required=False,
        help_text="For how many people, where the tier has a price per seat.",
    )  # fmt: skip

    def clean_seats(self) -> int:
        """None is no seat."""
        return int(self.cleaned_data["seats"] or 0)


class AddressForm(forms.Form):
    """A legal entity."""

    name = forms.CharField(label="Legal name", max_length=200)
    street = forms.CharField(label="Street and number", max_length=200)
    postcode = forms.CharField(label="Postcode", max_length=20)
    city = forms.CharField(label="City", max_length=100)
    country = forms.ChoiceField(label="Country", choices=[("", "Choose a country"), *COUNTRIES])
    email = forms.EmailField(label="E-mail for invoices")
    vat = forms.CharField(
        label="Tax number", max_length=30, required=False, help_text="With it, the tax of another EU country is yours."
    )


class BuyerForm(AddressForm):
    """Who is invoiced."""

    reference = forms.CharField(
        label="Your reference", max_length=100, required=False,
        help_text="It stands on every invoice. With a Leitweg-ID the XML is an XRechnung.",
    )  # fmt: skip
    electronic_address = forms.CharField(
        label="Peppol address", max_length=110, required=False,
        help_text="Such as 9930:DE123456788. With it the XML is a Peppol invoice, which needs a reference, too.",
    )  # fmt: skip


class SellerForm(AddressForm):
    """Who sells, and its account."""

    account = forms.CharField(label="IBAN", max_length=50)
    bic = forms.CharField(label="BIC", max_length=11, required=False)
    contact = forms.CharField(
        label="Whom to ask", max_length=100, required=False, help_text="XRechnung asks for it: a person or a desk."
    )
    phone = forms.CharField(label="Telephone", max_length=50, required=False, help_text="XRechnung asks for it.")
    electronic_address = forms.CharField(
        label="Peppol address", max_length=110, required=False, help_text="From which Peppol invoices come."
    )


class DeclarationForm(forms.Form):
    """A year's revenue."""

    entity = forms.CharField(label="Legal entity", max_length=200)
    group = forms.CharField(
        label="Group", max_length=200, required=False,
        help_text="Where the entity belongs to a group, the revenue is the whole group's.",
    )  # fmt: skip
    amount = MoneyField(label="Revenue of the year", max_length=30)
    currency = forms.ChoiceField(label="Currency", choices=CURRENCIES)
    starts = forms.DateField(label="First day of the year", widget=forms.DateInput(attrs={"type": "date"}))
    ends = forms.DateField(label="Last day", widget=forms.DateInput(attrs={"type": "date"}))
    short = forms.CharField(
        label="Why it is no whole year", max_length=200, required=False,
        help_text="Only where there is none yet, such as “founded on 1 March”. Staff look at it then.",
    )  # fmt: skip
    evidence = forms.FileField(
        label="Evidence",
        required=False,
        help_text="Such as the annual accounts, as PDF; only staff and your owners see it.",
    )


class DecisionForm(forms.Form):
    """What staff say to a declaration."""

    accept = forms.ChoiceField(
        label="Decision", choices=[("yes", "Accept it"), ("no", "Decline it")], widget=forms.RadioSelect
    )
    why = forms.CharField(label="Why", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


class BreachForm(forms.Form):
    """What a licensee did against its terms."""

    reason = forms.CharField(
        label="What was done", max_length=1000, widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Which clause, what was seen where and when. The owners read it.",
    )  # fmt: skip


class AnswerForm(forms.Form):
    """What a licensee says to it."""

    text = forms.CharField(label="What you have done", max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))


class DeadlineForm(forms.Form):
    """What staff decide about a license that was to be put right."""

    then = forms.ChoiceField(
        label="Decision",
        choices=[
            ("right", "It is put right: the license goes on"),
            ("move", "Give more time"),
            ("end", "The license ends, as the covenant says"),
        ],
        widget=forms.RadioSelect,
    )
    until = forms.DateField(label="More time until", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    why = forms.CharField(label="Why", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))

    def clean(self) -> dict[str, Any]:
        """More time has a day."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("then") == "move" and not given.get("until"):
            self.add_error("until", "Say until when.")
        return given


class StatementForm(forms.Form):
    """A bank statement."""

    file = forms.FileField(label="camt.053 file", help_text="As the bank gave it, unpacked.")


class PaymentForm(forms.Form):
    """What a payment is for."""

    invoice = forms.CharField(
        label="Invoice", max_length=20, required=False, help_text="Its number; leave it empty to send the money back."
    )
    account = forms.CharField(
        label="IBAN to send it back to", max_length=50, required=False,
        help_text="Only where it is not the account from which it came.",
    )  # fmt: skip
    note = forms.CharField(label="Why", max_length=500)


class RefundForm(forms.Form):
    """What of a surplus goes back."""

    amount = MoneyField(label="Amount", max_length=30)
    account = forms.CharField(
        label="IBAN", max_length=50, required=False, help_text="Empty: the account from which the last payment came."
    )
    reason = forms.CharField(label="Why", max_length=500)


class RefundDecisionForm(forms.Form):
    """What the second person says to a refund."""

    then = forms.ChoiceField(
        label="Decision", choices=[("sent", "I have sent it"), ("declined", "It stays here")], widget=forms.RadioSelect
    )
    note = forms.CharField(label="How it was sent, or why not", max_length=500)


class CreditOrderForm(forms.Form):
    """How much prepaid credit is bought."""

    amount = MoneyField(label="Amount before tax", max_length=30)


class CreditForm(forms.Form):
    """What is taken back of an invoice."""

    amount = MoneyField(label="Amount with tax", max_length=30)
    reason = forms.CharField(label="Reason", max_length=500)


class TableForm(forms.Form):
    """A file of rates."""

    kind = forms.ChoiceField(label="What it holds", choices=RateTable.Kind.choices)
    file = forms.FileField(label="CSV file")


class LimitForm(forms.Form):
    """From which monthly cost on to warn."""

    amount = MoneyField(
        label="Limit a month for generated minutes, before tax", max_length=30, required=False,
        help_text="You are told at 80 and at 100 %. Fees and a minimum do not count. Leave it empty for no limit.",
    )  # fmt: skip
    stops = forms.BooleanField(
        label="Stop at the limit", required=False,
        help_text="Nothing more is generated in the month once the limit is reached.",
    )  # fmt: skip
