"""The one error every room raises for its user: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class StemmaError(Exception):
    """A problem that a user can understand and mend.

    `code` is a stable kebab-case name for programs, `message` says what is wrong and `remedy` what
    to do; the command line prints both and leaves with `exit_code`, the APIs turn them into a
    problem body (RFC 9457).  `details` name single places: `field`, `rule` and `remedy` of each.
    """

    code = "error"
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str | None = None,
        details: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details = tuple(details)
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class NotFoundError(StemmaError):
    """A named thing is not there."""

    code = "not-found"


class InvalidError(StemmaError):
    """Input from outside does not have the form it must have."""

    code = "invalid"
    exit_code = 2


class UnavailableError(StemmaError):
    """A part of the stack does not answer; trying again later may help."""

    code = "unavailable"
    exit_code = 3


class ProofError(StemmaError):
    """A signature, hash or proof does not hold."""

    code = "proof"
    exit_code = 4
