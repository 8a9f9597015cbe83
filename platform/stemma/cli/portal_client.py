"""The portal's API as the operator's command line sees it."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from typing import Any

import httpx

from stemma.config import Settings, settings
from stemma.errors import InvalidError, NotFoundError, StemmaError, UnavailableError

PATIENCE = 120.0
"""Seconds to wait for an answer; closing a period over a large lake is the slowest."""


class Portal:
    """Calls with the operator's token; every refusal becomes a `StemmaError` with its remedy."""

    def __init__(self, config: Settings | None = None, token: str | None = None, *, anyone: bool = False) -> None:
        """`anyone` asks without a token, for what is open to everybody."""
        config = config or settings()
        self.url = config.portal_url
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1/",
            headers={} if anyone else {"Authorization": f"Bearer {token or _token(config)}"},
            timeout=httpx.Timeout(PATIENCE, connect=5),
        )
        weakref.finalize(self, self._http.close)

    def get(self, path: str, **parameters: Any) -> Any:
        """What is at a path below `/api/v1/`."""
        return self._ask("GET", path, params={k: v for k, v in parameters.items() if v is not None})

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a body sent to a path below `/api/v1/`."""
        return self._ask("POST", path, json={} if body is None else body)

    def upload(self, path: str, files: dict[str, tuple[str, bytes]], **fields: str) -> Any:
        """The answer to files (name and bytes by field) sent as a form to a path below `/api/v1/`."""
        return self._ask("POST", path, files=files, data=fields)

    def fetch(self, path: str) -> bytes:
        """A file at a path below `/api/v1/`, as it is."""
        response = self._send("GET", path)
        if response.is_error:
            raise _refusal(response.status_code, _json(self.url, response))
        return response.content

    def published(self, path: str) -> bytes:
        """A file that the portal publishes for everyone, by its whole path."""
        response = self._send("GET", self.url.rstrip("/") + path)
        if response.is_error:
            raise _refusal(response.status_code, {})
        return response.content

    def keys(self) -> Any:
        """The public keys (JWKS) that the installation gives out."""
        return self._ask("GET", f"{self.url.rstrip('/')}/.well-known/jwks.json")

    def items(self, path: str, **parameters: Any) -> Iterator[Any]:
        """The items of a list, page after page."""
        cursor = None
        while True:
            page = self.get(path, cursor=cursor, **parameters)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        response = self._send(method, path, **more)
        body = _json(self.url, response)
        if response.is_error:
            raise _refusal(response.status_code, body)
        return body

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self._http.request(method, path.lstrip("/"), **more)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"The portal at {self.url} does not answer ({type(error).__name__}).",
                remedy="See `stemma status`; start it with `stemma start`, or correct STEMMA_PORTAL_URL.",
            ) from error


def _json(url: str, response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise UnavailableError(
            f"The portal at {url} answers {response.status_code} with something that is not JSON.",
            remedy="Check STEMMA_PORTAL_URL; see `stemma logs portal`.",
        ) from None


def _token(config: Settings) -> str:
    """The caller's token: from the settings, else the operator's from the demonstration's file."""
    if token := config.portal_token.get_secret_value():
        return token
    demo = config.home / "demo.json"
    if demo.exists() and (token := str(json.loads(demo.read_text()).get("operator_token", ""))):
        return token
    raise InvalidError(
        "There is no token to call the portal with.",
        remedy="Make one there (Tokens of my programs) and set STEMMA_PORTAL_TOKEN; or set STEMMA_HOME to the folder "
        "of the installation.",
        code="no-token",
    )


def _refusal(status: int, body: Any) -> StemmaError:
    problem = body if isinstance(body, dict) else {}
    kind = UnavailableError if status >= 500 else NotFoundError if status == 404 else InvalidError
    detail = str(problem.get("detail", f"The portal answers {status}."))
    wrong = problem.get("errors", [])
    for each in wrong[:5]:
        detail += f"\n  {each.get('field')}: {each.get('remedy')}"
    if len(wrong) > 5:
        detail += f"\n  and {len(wrong) - 5} more"
    code = str(problem.get("code", "error"))
    return kind(detail, remedy=str(problem.get("remedy", "")), code=code, details=wrong)
