"""How far a file is, as pages show it."""

from django import template
from django.utils.safestring import SafeString

from stemma_portal.audio.states import STATES
from stemma_portal.design.templatetags.stemma import badge

register = template.Library()


@register.simple_tag
def file_state(state: str) -> SafeString:
    """The badge of a file's state."""
    return badge(*STATES[state])
