"""Errors of the portal's own, beside those of `stemma.errors`."""

from stemma.errors import StemmaError


class ForbiddenError(StemmaError):
    """The account may not do this."""

    code = "forbidden"


class ConflictError(StemmaError):
    """The thing is already there in another form."""

    code = "conflict"
