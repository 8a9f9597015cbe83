"""The installation's signing keys, as the portal uses them."""

from functools import cache

from stemma.config import settings
from stemma.errors import NotFoundError
from stemma.proof.keys import KeyRing


def keyring() -> KeyRing:
    """The private keys; read from their files at every use, so that a rotation needs no restart."""
    return KeyRing(settings().keys_path)


@cache
def log_id() -> str:
    """The identifier of the log: that of its first key, which stays when keys are rotated."""
    for key in keyring().jwks()["keys"]:
        if key["stemma_role"] == "log":
            return str(key["kid"])
    raise NotFoundError(
        f"There is no signing key for the log in {settings().keys_path}.",
        remedy="Run `stemma up`, or set STEMMA_KEYS_DIR to the folder that has it.",
    )
