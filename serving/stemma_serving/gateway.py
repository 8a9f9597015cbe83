"""The door: who may ask, what they may ask, and the usage fact that is on disk before an answer leaves.

Carries no torch, waits for no portal, and decides about licenses from what it has in memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from stemma.config import settings
from stemma.errors import NotFoundError, StemmaError
from stemma.ids import new_id, now, timestamp
from stemma.models.protocol import KEYS, MAX_BARS, MAX_PROMPT, MAX_SECONDS
from stemma.proof.canonical import sha256
from stemma.provenance.certificate import LicenseState
from stemma.quota import Quota
from stemma.rights.entitlement import KeyScope
from stemma.storage import Storage
from stemma_serving.caps import Caps
from stemma_serving.config import ServingConfig
from stemma_serving.licenses import Grant, Licenses, check_release, check_territory
from stemma_serving.limits import Limits
from stemma_serving.metrics import GatewayMetrics
from stemma_serving.once import RUNNING, First
from stemma_serving.problems import MEDIA_TYPE, Problem, RefusedError, of
from stemma_serving.prompts import Prompts
from stemma_serving.records import Body, Entry, Made, Order, Record, Status, folder
from stemma_serving.spool import Commits, Journal, SpoolFullError

log = logging.getLogger("ray.serve")
JSON = "application/json"
UNKNOWN_KEY_SECONDS = 1.0
"""An unknown key makes us read the licenses again at once, but not more often than this."""
UNKNOWN_KEYS = 32
"""How many requests with unknown keys may wait for that."""


class Makes(Protocol):
    """What the gateway needs of a generator."""

    async def make(self, order: Order, deadline: float) -> Made | Problem:
        """An output in object storage, or why there is none, before a moment of `time.monotonic`."""
        ...

    async def status(self) -> Status:
        """What it can do at the moment."""
        ...


class Gateway:
    """One replica of the door.

    `generator` makes the outputs: in an installation the handle of its deployment (`RemoteGenerator`);
    a benchmark of the door alone passes one that answers at once.
    """

    def __init__(self, config: ServingConfig, generator: Makes) -> None:
        self._config, self._filters, self._generator = config.gateway, config.filters, generator
        self._replicas = config.gateway.autoscaling.max_replicas
        self._storage = Storage(settings())
        spool = settings().spool_path
        self._licenses = Licenses(self._storage, spool / "licenses.json", settings().keys_path, config.licenses)
        self._prompts = Prompts(self._storage, spool / "prompting.jws", self._licenses.trusted("rights"))
        self._limits = Limits()
        self._first = First(self._storage)
        self._making: set[str] = set()
        self._caps = Caps(Quota(settings().redis_url.get_secret_value()), config.gateway)
        self._journal = Journal(spool / "usage", config.spool)
        self._metrics = GatewayMetrics()
        self._commits = Commits(self._journal, self._metrics.commit_seconds.observe)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._status = Status(None, problem=Problem(503, "starting", "Serving is starting.", retry_after=2))
        self._refreshed = 0.0
        self._unknown = 0
        self._refreshing: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin the recurring work, unless it has begun; needs a running event loop."""
        if not self._tasks:
            self._tasks = [
                asyncio.ensure_future(_every(self._config.refresh_seconds, self._refresh)),
                asyncio.ensure_future(_every(1.0, self._look)),
                asyncio.ensure_future(_every(1.0, self._tick)),
            ]

    def stop(self) -> None:
        """Hand the last facts over for shipping."""
        for task in self._tasks:
            task.cancel()
        self._journal.close()

    @property
    def release(self) -> str | None:
        """The release that is served."""
        return self._status.release

    # What callers may ask.

    async def generate(self, request: Request) -> Response:
        """A new generation."""
        grant = await self._admit(request, "generate")
        allowed_after = self._limits.take(
            grant.entitlement.license,
            max(1, grant.entitlement.requests_per_minute // self._replicas),
            time.monotonic(),
        )
        if allowed_after:
            raise RefusedError(
                Problem(
                    429,
                    "rate",
                    f"This license allows {grant.entitlement.requests_per_minute} requests per minute.",
                    f"Wait {allowed_after} s, or choose a wider license in the portal.",
                    retry_after=allowed_after,
                )
            )
        body = self._parse(await self._read(request))
        release = self._status.release
        if release is None:
            raise RefusedError(self._status.problem or Problem(503, "starting", "Serving is starting.", retry_after=2))
        check_release(grant.entitlement.model_releases, release)
        check_territory(grant.entitlement.territories, release, self._status.territory)
        if body.style is not None and body.style not in self._status.styles:
            raise RefusedError(self._unknown_style(body.style))
        if self._filters.prompt:
            self._prompts.check(body.prompt)
        self._journal.check()
        order, once = self._order(grant, body), request.headers.get("idempotency-key")
        if once is None:
            return await self._make(grant, order)
        return await self._make_once(grant, order, once)

    async def _make(self, grant: Grant, order: Order) -> Response:
        async with self._caps.held(grant.entitlement, order) as counted:
            made = await self._generator.make(order, time.monotonic() + self._config.answer_seconds)
            if isinstance(made, Problem):
                raise RefusedError(made)
            await self._account(made)
            counted(made.usage.billable_ms)
        return Response(made.answer, 201, {"Location": f"/v1/generations/{made.usage.id}"}, JSON)

    async def _make_once(self, grant: Grant, order: Order, key: str) -> Response:
        """A piece that the same request with the same key does not make again.

        Whoever comes first with a key writes down identifier and seed; whoever comes later finds them, and
        the piece if it was finished.  Its fact is stated again then: it may be what was lost.
        """
        first = await asyncio.to_thread(self._first.take, order.license, key, order)
        if first.id in self._making:
            raise RefusedError(RUNNING)
        self._making.add(first.id)
        try:
            record = await asyncio.to_thread(self._first.finished, first)
            if record is None:
                return await self._make(grant, first)
            certificate = await asyncio.to_thread(self._storage.get, record.files["certificate"].object)
            await self._commits.commit(Entry(usage=record.usage(), certificate=certificate.decode()).line())
            return await self._again(record, {"Idempotent-Replayed": "true"})
        finally:
            self._making.discard(first.id)

    async def generation(self, request: Request, generation: str) -> Response:
        """A generation made before, with fresh addresses."""
        return await self._again(await self._record(request, generation), {})

    async def _again(self, record: Record, headers: dict[str, str]) -> Response:
        answer = await asyncio.to_thread(
            record.answer,
            lambda key, name: self._storage.url(key, seconds=self._config.url_seconds, filename=name),
            {"proof": f"proofs/{record.model_release}.json"},
        )
        return Response(json.dumps(answer), 200, headers, JSON)

    async def attribution(self, request: Request, generation: str) -> Response:
        """Who shaped a generation: 200 with the fact, 202 while it is being found out."""
        record = await self._record(request, generation)
        try:
            fact = await asyncio.to_thread(self._storage.get, folder(record.id) + "attribution.json")
        except NotFoundError:
            waiting = {
                "generation": record.id,
                "state": "pending",
                "detail": "Attribution follows the answer; ask again.",
            }
            return Response(json.dumps(waiting), 202, {"Retry-After": "2"}, JSON)
        return Response(fact, 200, media_type=JSON)

    async def models(self, request: Request) -> Response:
        """What can be asked for."""
        await self._admit(request)
        from stemma.music import instruments

        document = {
            "release": self._status.release,
            "styles": self._status.styles,
            "keys": KEYS,
            "instruments": list(instruments.NAMES),
            "limits": {"prompt": MAX_PROMPT, "seconds": [2, MAX_SECONDS], "bars": [1, MAX_BARS], "tempo": [30, 240]},
            "formats": ["flac", "wav"],
        }
        return Response(json.dumps(document), 200, media_type=JSON)

    async def health(self) -> Response:
        """200 when a request would be answered."""
        await self._look()
        if self._status.release is None:
            raise RefusedError(self._status.problem or Problem(503, "starting", "Serving is starting.", retry_after=2))
        return Response(json.dumps({"status": "ok", "release": self._status.release}), 200, media_type=JSON)

    async def answer(self, work: Awaitable[Response]) -> Response:
        """The answer of any of the above, with every refusal as a problem body, counted."""
        self.start()
        try:
            response = await work
            code = "ok"
        except RefusedError as error:
            response, code = respond(error.problem), error.problem.code
        except StemmaError as error:
            problem = of(error)
            response, code = respond(problem), problem.code
        self._counts[str(response.status_code), code] += 1
        return response

    # How they are answered.

    async def _admit(self, request: Request, scope: KeyScope | None = None) -> Grant:
        key = _bearer(request)
        try:
            return self._licenses.decide(key, scope)
        except RefusedError as error:
            # Keys are used seconds after they were made: look again before saying no.  Whoever tries
            # keys at random makes us look once a second and not more, and finds few places to wait.
            if error.problem.code != "unknown-key" or self._unknown >= UNKNOWN_KEYS:
                raise
        self._unknown += 1
        try:
            if self._refreshing is not None:  # It may have looked before the key was there.
                await asyncio.shield(self._refreshing)
            await asyncio.sleep(self._refreshed + UNKNOWN_KEY_SECONDS - time.monotonic())
            await self._refresh()
        finally:
            self._unknown -= 1
        return self._licenses.decide(key, scope)

    async def _read(self, request: Request) -> bytes:
        limit = self._config.body_bytes
        too_large = RefusedError(
            Problem(
                413,
                "too-large",
                f"A request has at most {limit} bytes.",
                f"Shorten the prompt to {MAX_PROMPT} characters.",
            )
        )
        if int(request.headers.get("content-length") or 0) > limit:
            raise too_large
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large
        return body

    def _parse(self, data: bytes) -> Body:
        try:
            return Body.model_validate_json(data)
        except ValidationError as error:
            errors = tuple(
                {"field": ".".join(map(str, e["loc"])) or "body", "rule": e["msg"]}
                for e in error.errors(include_url=False)
            )
            said = "; ".join(f"{e['field']}: {e['rule']}" for e in errors)
            raise RefusedError(
                Problem(422, "invalid", f"The request is malformed. {said}.", "Correct these fields.", errors=errors)
            ) from None

    def _order(self, grant: Grant, body: Body) -> Order:
        entitlement = grant.entitlement
        request = body if body.seed is not None else body.model_copy(update={"seed": secrets.randbelow(2**53)})
        number, signed = self._licenses.listed
        return Order(
            id=new_id(),
            at=timestamp(now()),
            request=request,
            format=body.format,
            prompt_sha256=sha256(body.prompt.encode()),
            license=entitlement.license,
            licensee=entitlement.licensee,
            licensee_name=entitlement.licensee_name,
            tier=entitlement.tier,
            indemnified=entitlement.indemnified,
            covenant=entitlement.covenant,
            key=grant.key.id,
            entitlement=grant.token,
            entitlement_sha256=grant.sha256,
            model_releases=entitlement.model_releases,
            territories=entitlement.territories,
            license_state=LicenseState(
                not_before=entitlement.not_before,
                expires_at=entitlement.expires_at,
                revocations_sequence=number,
                revocations_at=signed,
            ),
            prompt_rules=self._prompts.rules if self._filters.prompt else None,
            seed_given=body.seed is not None,
        )

    def _unknown_style(self, style: str) -> Problem:
        known = ", ".join(self._status.styles)
        return Problem(
            422,
            "unknown-style",
            f"The model knows no style {style!r}.",
            f"Choose one of {known}; or leave it out and describe the music in the prompt.",
            errors=({"field": "style", "rule": f"one of {known}"},),
        )

    async def _account(self, made: Made) -> None:
        """The usage fact on disk, or the output gone."""
        try:
            await self._commits.commit(made.line())
        except SpoolFullError:
            for key in made.objects:
                try:
                    await asyncio.to_thread(self._storage.delete, key)
                except StemmaError as error:
                    log.warning("%s stays behind unaccounted; nobody has its address: %s", key, error)
            raise

    async def _record(self, request: Request, generation: str) -> Record:
        grant = await self._admit(request, "read")
        missing = RefusedError(
            Problem(404, "not-found", "There is no such generation under this license.", "Check the identifier.")
        )
        if not generation.replace("-", "").isalnum() or len(generation) > 40:
            raise missing
        try:
            found = await asyncio.to_thread(self._storage.get, folder(generation) + "generation.json")
        except NotFoundError:
            raise missing from None
        record = Record.model_validate_json(found)
        if record.licensee != grant.entitlement.licensee:
            raise missing
        return record

    # What recurs.

    async def _refresh(self) -> None:
        """Read the licenses again.  Whoever asks while it is done waits for the same reading."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(self._read_licenses())
        await asyncio.shield(self._refreshing)

    async def _read_licenses(self) -> None:
        try:
            await asyncio.to_thread(self._licenses.refresh)
            await asyncio.to_thread(self._prompts.refresh, self._licenses.trusted("rights"))
        except (StemmaError, OSError, ValueError) as error:
            log.warning("Licenses cannot be read again, the known ones stay in force: %s", error)
        else:
            self._licenses.read_at = time.monotonic()
        self._refreshed = time.monotonic()

    async def _look(self) -> None:
        self._status = await self._generator.status()

    async def _tick(self) -> None:
        await self._commits.tick()
        counts, self._counts = self._counts, Counter()
        for (status, code), count in counts.items():
            self._metrics.requests.inc(count, {"status": status, "code": code})
        if self._licenses.read_at is not None:
            self._metrics.licenses_age.set(time.monotonic() - self._licenses.read_at)


def respond(problem: Problem) -> Response:
    """A problem as an answer."""
    return Response(problem.body(), problem.status, problem.headers(), MEDIA_TYPE)


def _bearer(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("Recurring work of the gateway failed; it is tried again.")
        await asyncio.sleep(seconds)
