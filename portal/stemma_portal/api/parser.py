"""Reading request bodies: JSON and nothing that only looks like it."""

import json
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser
from ninja.types import DictStrAny

from stemma.errors import InvalidError


class StrictParser(Parser):
    """Refuses NaN and infinities, other character sets, and nesting without end."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        """The body as a JSON object."""
        try:
            return json.loads(request.body, parse_constant=_refuse)  # type: ignore[no-any-return]
        except RecursionError as error:
            raise InvalidError("The body is nested too deeply.", remedy="Send plain objects.") from error
        except ValueError as error:
            raise InvalidError(
                f"The body is not JSON: {error}.", remedy="Send a JSON object.", code="not-json"
            ) from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")
