"""What other apps may want to know of accounts, which know nothing of them."""

from django.dispatch import Signal

organisation_signed_up = Signal()
"""An organisation was made by somebody who signed up: `organisation`, `by`."""

token_made = Signal()
"""Somebody has made a token for their own programs: `token`."""
