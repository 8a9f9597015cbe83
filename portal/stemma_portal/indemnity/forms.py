"""What the pages about claims against outputs ask for."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django import forms

from stemma.rights.indemnity import Coverage
from stemma.rights.wording import words
from stemma_portal.accounts.models import Organisation
from stemma_portal.billing.forms import MoneyField
from stemma_portal.consent.evidence import ACCEPT
from stemma_portal.indemnity.models import OUTPUT_USES, OutputClaim, ReserveMove

AREA = forms.Textarea(attrs={"rows": 3})


class ClaimFilter(forms.Form):
    """Finding claims."""

    state = forms.ChoiceField(
        required=False, label="State", choices=[("", "Not over"), *OutputClaim.State.choices, ("all", "All")]
    )
    q = forms.CharField(required=False, max_length=200, label="Search")


class ClaimForm(forms.Form):
    """A claim as a licensee sends it."""

    organisation = forms.ModelChoiceField(label="For", queryset=Organisation.objects.none(), empty_label=None)
    claimant = forms.CharField(label="Who says that it is theirs", max_length=200)
    sound = forms.FileField(
        label="The sound",
        widget=forms.FileInput(attrs={"accept": ".flac,.wav,.mp3,.aif,.aiff,.ogg,.opus"}),
        help_text="As you used it: FLAC, WAV, AIFF, MP3 or Ogg, up to 100 MB. The very file that you got proves most.",
    )
    letter = forms.FileField(
        label="The letter",
        widget=forms.FileInput(attrs={"accept": ".pdf,.png,.jpg,.jpeg,.txt"}),
        help_text="PDF, PNG, JPEG or plain text, up to 20 MB.",
    )
    letter_due = forms.DateField(
        label="The letter wants an answer by",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Leave it empty where it says nothing.",
    )
    use = forms.ChoiceField(label="What you did with it", choices=OUTPUT_USES, initial="api_outputs")
    story = forms.CharField(label="What happened", max_length=8000, widget=AREA)

    def __init__(self, *args: Any, organisations: list[Organisation], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["organisation"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared above
        field.queryset = Organisation.objects.filter(pk__in=[each.pk for each in organisations])
        if len(organisations) == 1:
            field.initial, field.widget = organisations[0].pk, forms.HiddenInput()

    def clean_letter_due(self) -> datetime | None:
        """The end of that day in UTC."""
        day = self.cleaned_data["letter_due"]
        return datetime.combine(day, time(23, 59), UTC) if day else None


class SayForm(forms.Form):
    """Something to say."""

    text = forms.CharField(label="Message", max_length=8000, widget=AREA)
    file = forms.FileField(
        label="File", required=False, widget=forms.FileInput(attrs={"accept": ACCEPT}), help_text="Up to 20 MB."
    )


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label="Why", max_length=4000, widget=AREA)


class JudgeForm(ReasonForm):
    """Whether an exclusion applies that facts leave open."""

    exclusion = forms.ChoiceField(label="Excluded")
    applies = forms.ChoiceField(
        label="Here", choices=[("no", "It does not apply"), ("yes", "It applies")], widget=forms.RadioSelect
    )
    field_order = ("exclusion", "applies", "reason")

    def __init__(self, *args: Any, found: Coverage | None, judged: dict[str, bool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [*(found.open if found else ()), *judged]
        field = self.fields["exclusion"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [(name, words(name).capitalize()) for name in dict.fromkeys(names)]


class AcceptForm(ReasonForm):
    """Accept it, and set money aside."""

    amount = MoneyField(label="Set aside", max_length=30, help_text="What it may cost, in the covenant's currency.")
    field_order = ("amount", "reason")


class MoveForm(ReasonForm):
    """Move money of the reserve."""

    kind = forms.ChoiceField(label="What to do", choices=ReserveMove.Kind.choices)
    amount = MoneyField(label="Amount", max_length=30)
    field_order = ("kind", "amount", "reason")
