"""The gateway behind its addresses.

FastAPI describes all of them and answers all but the one that is asked a thousand times a second:
making a piece goes past its machinery, which costs more than the gateway's own work.  The routes are
plain functions; methods, as Serve's examples have them, cost five times as much again.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from stemma.refusals import REFUSALS
from stemma_serving.config import ServingConfig
from stemma_serving.gateway import JSON, Gateway, Makes, respond
from stemma_serving.once import LONGEST
from stemma_serving.problems import MEDIA_TYPE, PROBLEM, Problem
from stemma_serving.records import Body

GENERATIONS = "/v1/generations"
log = logging.getLogger("ray.serve")

_GENERATE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {JSON: {"schema": Body.model_json_schema()}}},
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same request with the same key is made and billed once.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        }
    ],
}


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the description says of refusals: for each status its codes, and when they come."""
    return {
        status: {
            "description": "; ".join(f"`{each.code}`: {each.when}" for each in REFUSALS if each.status == status),
            "content": {MEDIA_TYPE: {"schema": PROBLEM}},
        }
        for status in statuses
    }


_DENIED = (401, 402, 403)


def addresses(gateway: Gateway) -> FastAPI:
    """What may be asked of a gateway, and where."""
    api = FastAPI(title="Stemma", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")

    @api.post(
        GENERATIONS,
        status_code=201,
        openapi_extra=_GENERATE,
        responses=refused(*_DENIED, 409, 413, 422, 429, 500, 503),
    )
    async def create(request: Request) -> Response:
        """Make a piece."""
        return await gateway.answer(gateway.generate(request))

    @api.get(GENERATIONS + "/{generation}", responses=refused(*_DENIED, 404, 503))
    async def read(request: Request, generation: str) -> Response:
        """A piece made before."""
        return await gateway.answer(gateway.generation(request, generation))

    @api.get(GENERATIONS + "/{generation}/attribution", responses=refused(*_DENIED, 404, 503))
    async def attribution(request: Request, generation: str) -> Response:
        """Who shaped it."""
        return await gateway.answer(gateway.attribution(request, generation))

    @api.get("/v1/models", responses=refused(*_DENIED, 503))
    async def models(request: Request) -> Response:
        """What can be asked for."""
        return await gateway.answer(gateway.models(request))

    @api.get("/livez")
    async def live() -> Response:
        """200 as soon as anybody answers, with the release that is served, if any."""
        return Response(json.dumps({"status": "ok", "release": gateway.release}), 200, media_type=JSON)

    @api.get("/healthz")
    async def health() -> Response:
        """Whether a request would be answered."""
        return await gateway.answer(gateway.health())

    @api.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        code = {404: "not-found", 405: "method"}.get(error.status_code, "http")
        return respond(Problem(error.status_code, code, str(error.detail), "See /v1/openapi.json."))

    @api.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> Response:
        return respond(Problem(422, "invalid", str(error)))

    @api.exception_handler(Exception)
    async def any_other(_: Request, error: Exception) -> Response:
        return unforeseen(error)

    return api


class Door:
    """All requests: the frequent one at once, the others through FastAPI."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._others: ASGIApp = addresses(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] != "http" or scope["method"] != "POST" or _path(scope) != GENERATIONS:
            await self._others(scope, receive, send)
            return
        try:
            response = await self._gateway.answer(self._gateway.generate(Request(scope, receive)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a problem body
            response = unforeseen(error)
        await response(scope, receive, send)


def unforeseen(error: Exception) -> Response:
    """The answer to a mistake of ours."""
    log.error("A request failed in a way nobody foresaw.", exc_info=error)
    return respond(
        Problem(500, "internal", "Serving failed in a way nobody foresaw; nothing was billed.", "Try again.")
    )


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


@serve.ingress()
class GatewayIngress:
    """A replica of the gateway."""

    def __init__(self, config: ServingConfig, generator: Makes, *keepers: DeploymentHandle) -> None:
        """`keepers` are asked nothing; they are named here because an application is what its ingress holds."""
        self._gateway = Gateway(config, generator)
        self._keepers = keepers

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """What answers the requests of this replica."""
        return Door(self._gateway)

    async def check_health(self) -> None:
        """Asked by Ray Serve now and then; the first time the recurring work begins."""
        self._gateway.start()

    def __del__(self) -> None:
        """Called by Ray Serve when the replica is taken down."""
        self._gateway.stop()
