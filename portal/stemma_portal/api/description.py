"""What every operation has in common, in the API's own description (OpenAPI): refusals, and keys of repetition."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from stemma_portal.api.idempotency import LONGEST, METHODS
from stemma_portal.api.problems import MEDIA_TYPE, TITLES

_TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was refused, and what to do (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": _TEXT,
        "detail": _TEXT,
        "remedy": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "rule", "remedy"],
                "properties": {"field": _TEXT, "rule": _TEXT, "remedy": _TEXT},
            },
        },
    },
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request is answered the same and done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[A-Za-z0-9_.:-]+$"},
}
ALWAYS = ("400", "404", "422", "503")
CHANGING = ("409", "413")
CLOSED = ("401", "403")


class DescribedAPI(NinjaAPI):
    """An API whose description also tells of what ninja does not know."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The description, whole."""
        schema = super().get_openapi_schema(**options)
        schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
        for operations in schema["paths"].values():
            for method, operation in operations.items():
                changing = method.upper() in METHODS
                statuses = [*ALWAYS, *(CHANGING if changing else ()), *(CLOSED if operation.get("security") else ())]
                for status in statuses:
                    operation["responses"].setdefault(int(status), _refusal(int(status)))
                if changing:
                    operation.setdefault("parameters", []).append(KEY)
        return schema


def file_of(*kinds: str) -> dict[str, Any]:
    """What an operation says that answers with a file, of which ninja knows nothing."""
    content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    return {"responses": {200: {"description": "The file", "content": content}}}


def _refusal(status: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": TITLES[status], "content": content}
