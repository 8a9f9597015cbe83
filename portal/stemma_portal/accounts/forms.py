"""What the pages of accounts ask for."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from django import forms
from django.http import HttpRequest

from stemma.catalog.text import clean
from stemma_portal.accounts.models import Membership, Organisation, SignOn, User
from stemma_portal.accounts.services import sign_up

KINDS = (
    (Organisation.Kind.ARTIST, "I make music"),
    (Organisation.Kind.LABEL, "We are a label or a publisher"),
    (Organisation.Kind.ENTERPRISE, "We use music: a company, a studio, a developer"),
)
MOST_DAYS = 366
"""For which a token holds: one that was forgotten ends by itself."""
INVITED = "invitation"
"""The invitation's link in the session of whoever follows it."""


def plain_name(text: str) -> str:
    """A name that can be shown.  Raises `forms.ValidationError` for one that deceives the eye."""
    cleaned = clean(text)
    if cleaned.refused or not cleaned.text:
        raise forms.ValidationError(cleaned.remedy or "Write a name.")
    return cleaned.text


class SignupForm(AllauthSignupForm):
    """An account, and the organisation that it acts for; who was invited brings none."""

    field_order = ["name", "email", "kind", "organisation", "password1", "password2"]
    name = forms.CharField(label="Your name", max_length=200, widget=forms.TextInput({"autocomplete": "name"}))
    kind = forms.ChoiceField(label="What brings you here", choices=KINDS, widget=forms.RadioSelect)
    organisation = forms.CharField(
        label="Name of the artist, label or company",
        max_length=200,
        widget=forms.TextInput({"autocomplete": "organization"}),
    )

    def __init__(self, *args: Any, invited: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        if invited:
            del self.fields["kind"], self.fields["organisation"]
            self.fields["email"].initial = invited
            self.fields["email"].disabled = True

    def clean_name(self) -> str:
        """The person's name."""
        return plain_name(self.cleaned_data["name"])

    def clean_organisation(self) -> str:
        """The organisation's name."""
        return plain_name(self.cleaned_data["organisation"])

    def custom_signup(self, request: HttpRequest, user: User) -> None:
        """Give the account its name and its organisation."""
        super().custom_signup(request, user)
        data = self.cleaned_data
        sign_up(user=user, name=data["name"], kind=data.get("kind", ""), organisation=data.get("organisation", ""))


class InvitationForm(forms.Form):
    """Whom to ask in."""

    email = forms.EmailField(label="E-mail address", max_length=254)
    role = forms.ChoiceField(
        label="They may",
        choices=[
            (Membership.Role.MEMBER, "look (member)"),
            (Membership.Role.EDITOR, "bring catalogs and sounds (editor)"),
            (Membership.Role.OWNER, "act for the organisation: sign, state shares, invite (owner)"),
        ],
    )


class SignOnForm(forms.Form):
    """An organisation's own provider."""

    kind = forms.ChoiceField(label="Protocol", choices=SignOn.Kind)
    issuer = forms.CharField(
        label="Issuer, or entity ID",
        max_length=500,
        help_text="OpenID Connect: the issuer's address. SAML: the entity ID of your provider.",
    )
    client_id = forms.CharField(label="Client ID", max_length=300, required=False, help_text="OpenID Connect only.")
    secret = forms.CharField(
        label="Client secret",
        max_length=500,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Kept sealed. Left empty, the one before stays.",
    )
    sso_url = forms.URLField(
        label="Sign-on address", max_length=500, required=False, assume_scheme="https", help_text="SAML only."
    )
    certificate = forms.CharField(
        label="Signing certificate",
        max_length=10_000,
        required=False,
        widget=forms.Textarea({"rows": 5, "spellcheck": "false"}),
        help_text="SAML only; PEM, or what stands in the provider's metadata.",
    )
    required = forms.BooleanField(
        label="Refuse passwords to addresses of our domains (owners keep theirs)", required=False
    )


class TokenForm(forms.Form):
    """A token for one's own programs."""

    name = forms.CharField(label="Name", max_length=100, help_text="Where it will be used, such as “upload script”.")
    days = forms.IntegerField(
        label="Days it holds", min_value=1, max_value=MOST_DAYS, initial=90, help_text=f"At most {MOST_DAYS}."
    )

    def clean_name(self) -> str:
        """The token's name."""
        return plain_name(self.cleaned_data["name"])


class DomainForm(forms.Form):
    """A domain of e-mail addresses."""

    name = forms.CharField(label="Domain", max_length=253, help_text="Such as example.com.")
