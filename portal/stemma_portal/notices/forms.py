"""What the pages of notices ask for."""

from typing import Any

from django import forms

from stemma_portal.notices.models import ALWAYS, Mail, Topic

TOLD: dict[Topic, str] = {
    Topic.CLAIMS: "A claim on your music, an answer, a deadline, a decision.",
    Topic.SHARES: "Shares that ask for your yes or no.",
    Topic.CONSENT: "A grant that was signed or withdrawn in your name.",
    Topic.IMPORTS: "An import that you began has ended or stopped.",
    Topic.AUDIO: "Files that you brought need a word from you.",
    Topic.MONEY: "A statement of what you earned.",
    Topic.ACCOUNT: "Another password, passkey, second step or token; other payment details; a webhook switched off.",
}
"""What a topic is about, in words."""


class PreferencesForm(forms.Form):
    """For each topic that can be switched off, when to be mailed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for topic in Topic:
            if topic not in ALWAYS:
                self.fields[topic.value] = forms.ChoiceField(
                    label=topic.label, choices=Mail.choices, widget=forms.RadioSelect, help_text=TOLD[topic]
                )
