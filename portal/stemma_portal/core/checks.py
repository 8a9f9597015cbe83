"""Checks of the settings that Django's own `check --deploy` does not make."""

from typing import Any

from csp.constants import NONE, UNSAFE_EVAL, UNSAFE_INLINE
from django.conf import settings
from django.core.checks import Error, register

MIDDLEWARE = "csp.middleware.CSPMiddleware"


@register("security")
def check_csp(**options: Any) -> list[Error]:  # noqa: ARG001 - Django's signature
    """Every page carries a content security policy that denies what it does not name."""
    if MIDDLEWARE not in settings.MIDDLEWARE:
        return [Error("No content security policy is sent.", hint=f"Add {MIDDLEWARE} to MIDDLEWARE.", id="stemma.E001")]
    directives = getattr(settings, "CONTENT_SECURITY_POLICY", {}).get("DIRECTIVES", {})
    found = []
    if directives.get("default-src") != [NONE]:
        hint = "Set default-src 'none'."
        found.append(Error("The policy allows what it does not name.", hint=hint, id="stemma.E002"))
    for name, sources in directives.items():
        if unsafe := {UNSAFE_INLINE, UNSAFE_EVAL} & set(sources):
            hint = "Put scripts and styles into files."
            found.append(Error(f"{name} allows {', '.join(sorted(unsafe))}.", hint=hint, id="stemma.E003"))
    return found
