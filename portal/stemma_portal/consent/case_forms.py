"""What the pages about cases ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms

from stemma.errors import InvalidError
from stemma.rights.shares import SIDES, WHOLE, Share
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.catalog.sharing import shares_check
from stemma_portal.consent.cases import DAYS, MOST_DAYS, OUTCOMES, shares_of
from stemma_portal.consent.evidence import ACCEPT, MAX_BYTES
from stemma_portal.consent.models import Claim

AREA = {"rows": 4}
PERCENT = re.compile(r"\d{1,3}(?:[.,]\d{1,4})?")
KINDS = [
    (Claim.Kind.AUTHORSHIP, "The recording or its work is ours, or by somebody else"),
    (Claim.Kind.SHARE, "The shares are not right"),
    (Claim.Kind.SAME_IDENTIFIER, "Two recordings carry one identifier"),
]
"""What people may claim by themselves; a share that passes the whole becomes an over-claim, corrections
begin at a statement."""


class CaseFilter(forms.Form):
    """Finding cases."""

    state = forms.ChoiceField(
        required=False, label="State", choices=[("", "Pending"), *Claim.State.choices, ("all", "All")]
    )
    kind = forms.ChoiceField(required=False, label="About", choices=[("", "Anything"), *Claim.Kind.choices])
    turn = forms.ChoiceField(required=False, label="Whose turn", choices=[("", "Anyone’s"), *Claim.Side.choices])
    q = forms.CharField(required=False, max_length=200, label="Search", help_text="")


class CaseForm(forms.Form):
    """Somebody says that something is not right."""

    kind = forms.ChoiceField(label="What is it about", choices=KINDS, widget=forms.RadioSelect)
    recording = forms.CharField(label="Recording", max_length=40, help_text="Its ISRC, or its identifier here.")
    other = forms.CharField(
        label="Second recording",
        max_length=40,
        required=False,
        help_text="Only where two carry one identifier: the identifier here of the second.",
    )
    side = forms.ChoiceField(
        label="Right", required=False, choices=[("", "Not about one share"), *((s, s.capitalize()) for s in SIDES)]
    )
    percent = forms.CharField(
        label="Our share, in %",
        max_length=9,
        required=False,
        help_text="Where the shares are not right: what you say is yours, in the whole world.",
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    claimant = forms.CharField(
        label="Who claims it",
        max_length=200,
        required=False,
        help_text="Leave empty to claim it for your own organisation.",
    )
    reason = forms.CharField(
        label="Why",
        max_length=4000,
        widget=forms.Textarea(attrs=AREA),
        help_text="The owners and rights staff read this. Evidence can be added afterwards.",
    )

    def __init__(self, *args: Any, staff: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not staff:
            del self.fields["claimant"]

    def clean(self) -> dict[str, Any]:
        """A share is a right and a percentage, or neither."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        text, side = (cleaned.get("percent") or "").strip(), cleaned.get("side")
        cleaned["ppm"] = _ppm(text) if text else None
        if text and not cleaned["ppm"]:
            self.add_error("percent", "A percentage such as 33.3333, above nothing.")
        if bool(text) != bool(side):
            self.add_error("percent", "Name both the right and your share of it, or neither.")
        return cleaned

    def clean_other(self) -> str:
        """Needed where two are at odds."""
        other: str = self.cleaned_data["other"].strip()
        if self.cleaned_data.get("kind") == Claim.Kind.SAME_IDENTIFIER and not other:
            raise forms.ValidationError("Name the second recording.")
        return other


class CorrectionForm(forms.Form):
    """What is wrong with a line of a statement."""

    reason = forms.CharField(
        label="What is not right, and why",
        max_length=4000,
        widget=forms.Textarea(attrs=AREA),
        help_text="Rights staff answer within 30 days. Documents can be added afterwards.",
    )


class MessageForm(forms.Form):
    """Something to say."""

    text = forms.CharField(label="Message", max_length=8000, widget=forms.Textarea(attrs=AREA))


class EvidenceForm(forms.Form):
    """A file, an address or a text that speaks for one side."""

    title = forms.CharField(label="What it shows", max_length=200)
    file = forms.FileField(
        required=False,
        label="File",
        widget=forms.FileInput(attrs={"accept": ACCEPT}),
        help_text=f"PDF, PNG, JPEG, FLAC, WAV, MP3 or plain text, up to {MAX_BYTES // 1024 // 1024} MB.",
    )
    link = forms.URLField(
        required=False,
        label="Address",
        max_length=500,
        assume_scheme="https",
        help_text="Of a registration or publication, beginning with https://.",
    )
    text = forms.CharField(required=False, label="In words", max_length=8000, widget=forms.Textarea(attrs={"rows": 2}))


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label="Why", max_length=4000, widget=forms.Textarea(attrs={"rows": 2}))


class ExtendForm(ReasonForm):
    """More time, and why."""

    days = forms.IntegerField(label="Days more", min_value=1, max_value=MOST_DAYS, initial=DAYS // 2)


class DecideForm(forms.Form):
    """How a case ends: an outcome, its reason, and the shares or the recording that it names."""

    outcome = forms.ChoiceField(label="Outcome", widget=forms.RadioSelect)
    down = forms.ChoiceField(label="Which recording is taken down", required=False)
    amount = forms.DecimalField(
        label="What the correction brings the party",
        required=False,
        min_value=0,
        max_digits=15,
        decimal_places=6,
        help_text="In the currency of the statement, out of the house’s own revenue; leave it empty for none.",
    )
    reason = forms.CharField(
        label="Reason",
        max_length=4000,
        widget=forms.Textarea(attrs=AREA),
        help_text="Both sides read it, and its hash goes into the log.",
    )

    def __init__(self, *args: Any, claim: Claim, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.claim = claim
        labels = dict(Claim.Outcome.choices)
        self.fields["outcome"].choices = [(name, labels[name]) for name in OUTCOMES[claim.kind]]  # type: ignore[attr-defined,index]
        if Claim.Outcome.TAKEN_DOWN in OUTCOMES[claim.kind] and claim.other is not None:
            both = (claim.recording, claim.other)
            self.fields["down"].choices = [("", "None"), *((r.pk, _named(r)) for r in both)]  # type: ignore[attr-defined]
        else:
            del self.fields["down"]
        if Claim.Outcome.CORRECTED not in OUTCOMES[claim.kind]:
            del self.fields["amount"]
        if Claim.Outcome.SHARES in OUTCOMES[claim.kind]:
            self._share_fields()

    def _share_fields(self) -> None:
        """One field per side and party that could own a part, with its share now."""
        now = {(s.party, s.side): s.ppm for s in shares_of(self.claim.recording) if s.territory == "WORLD"}
        wanted = {party for party, _ in now}
        wanted |= {str(party) for party in self.claim.parties.values_list("party_id", flat=True)}
        self.parties = list(Party.objects.filter(id__in=wanted).order_by("name"))
        for side in SIDES:
            for party in self.parties:
                ppm = now.get((party.pk, side), 0)
                self.fields[f"{side}-{party.pk}"] = forms.CharField(
                    required=False,
                    max_length=9,
                    label=party.name,
                    initial=f"{ppm / 10_000:g}",
                    widget=forms.TextInput(attrs={"inputmode": "decimal", "size": 8}),
                )

    def share_rows(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields of the shares, side by side."""
        names = [(side, [name for name in self.fields if name.startswith(f"{side}-")]) for side in SIDES]
        return [(side, [self[name] for name in found]) for side, found in names if found]

    def clean(self) -> dict[str, Any]:
        """The shares must be whole where they are changed, and a recording named where one leaves."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        cleaned["shares"] = []
        if cleaned.get("outcome") == Claim.Outcome.SHARES:
            cleaned["shares"] = self._shares(cleaned)
        if cleaned.get("outcome") == Claim.Outcome.TAKEN_DOWN and not cleaned.get("down"):
            self.add_error("down", "Say which of the two leaves.")
        return cleaned

    def _shares(self, cleaned: dict[str, Any]) -> Sequence[Share]:
        found = [s for s in shares_of(self.claim.recording) if s.territory != "WORLD"]
        for side in SIDES:
            for party in self.parties:
                name = f"{side}-{party.pk}"
                ppm = _ppm(cleaned.get(name) or "0")
                if ppm is None:
                    self.add_error(name, "A percentage such as 33.3333.")
                elif ppm:
                    found.append(Share(party=party.pk, side=side, ppm=ppm))
        if not self.errors:
            try:
                shares_check(found)
            except InvalidError as error:
                self.add_error(None, f"{error.message} {error.remedy}")
        return found


def _ppm(text: str) -> int | None:
    """A percentage with up to four places as parts per million."""
    text = text.strip().rstrip("%").strip()
    if not PERCENT.fullmatch(text):
        return None
    whole, _, part = text.replace(",", ".").partition(".")
    ppm = int(whole) * 10_000 + int(part.ljust(4, "0") if part else 0)
    return ppm if ppm <= WHOLE else None


def _named(recording: Recording) -> str:
    brought = recording.organisation.name if recording.organisation else "the house"
    return f"{recording.title} ({recording.isrc or recording.pk}), brought by {brought}"
