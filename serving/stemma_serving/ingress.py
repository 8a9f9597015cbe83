"""The gateway behind its addresses.

FastAPI reads the annotations below when Serve has rebuilt these methods and knows their names no more:
they must be the types themselves, hence no `from __future__ import annotations` here.
"""

import json
import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException

from stemma_serving.config import ServingConfig
from stemma_serving.gateway import JSON, Gateway, Makes, respond
from stemma_serving.problems import Problem
from stemma_serving.records import Body

log = logging.getLogger("ray.serve")

api = FastAPI(title="Stemma", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")


@api.exception_handler(HTTPException)
async def _http(_: Request, error: HTTPException) -> Response:
    code = {404: "not-found", 405: "method"}.get(error.status_code, "http")
    return respond(Problem(error.status_code, code, str(error.detail), "See /v1/openapi.json."))


@api.exception_handler(RequestValidationError)
async def _validation(_: Request, error: RequestValidationError) -> Response:
    return respond(Problem(422, "invalid", str(error)))


@api.exception_handler(Exception)
async def _unforeseen(_: Request, error: Exception) -> Response:
    log.error("A request failed in a way nobody foresaw.", exc_info=error)
    return respond(
        Problem(500, "internal", "Serving failed in a way nobody foresaw; nothing was billed.", retry_after=5)
    )


_GENERATE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {JSON: {"schema": Body.model_json_schema()}}},
}


@serve.ingress(api)
class GatewayIngress:
    """The gateway behind its addresses."""

    def __init__(self, config: ServingConfig, generator: Makes, *keepers: DeploymentHandle) -> None:
        """`keepers` are asked nothing; they are named here because an application is what its ingress holds."""
        self._gateway = Gateway(config, generator)
        self._keepers = keepers

    @api.post("/v1/generations", status_code=201, openapi_extra=_GENERATE)
    async def create(self, request: Request) -> Response:
        """Make a piece."""
        return await self._gateway.answer(self._gateway.generate(request))

    @api.get("/v1/generations/{generation}")
    async def read(self, request: Request, generation: str) -> Response:
        """A piece made before."""
        return await self._gateway.answer(self._gateway.generation(request, generation))

    @api.get("/v1/generations/{generation}/attribution")
    async def attribution(self, request: Request, generation: str) -> Response:
        """Who shaped it."""
        return await self._gateway.answer(self._gateway.attribution(request, generation))

    @api.get("/v1/models")
    async def models(self, request: Request) -> Response:
        """What can be asked for."""
        return await self._gateway.answer(self._gateway.models(request))

    @api.get("/livez")
    async def live(self) -> Response:
        """200 as soon as anybody answers, with the release that is served, if any."""
        return Response(json.dumps({"status": "ok", "release": self._gateway.release}), 200, media_type=JSON)

    @api.get("/healthz")
    async def health(self) -> Response:
        """Whether a request would be answered."""
        return await self._gateway.answer(self._gateway.health())

    async def check_health(self) -> None:
        """Asked by Ray Serve now and then; the first time the recurring work begins."""
        self._gateway.start()

    def __del__(self) -> None:
        """Called by Ray Serve when the replica is taken down."""
        self._gateway.stop()
