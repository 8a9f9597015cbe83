"""The deployment that makes music: holds the production release and turns orders into outputs."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stemma.config import settings
from stemma.errors import StemmaError, UnavailableError
from stemma.models.protocol import Family, GenerationRequest
from stemma.storage import Storage
from stemma_serving.config import FiltersConfig, GeneratorConfig
from stemma_serving.covenants import Covenants
from stemma_serving.engine import Engine
from stemma_serving.licenses import check_release, check_territory
from stemma_serving.metrics import GeneratorMetrics
from stemma_serving.problems import Problem, RefusedError, of
from stemma_serving.records import Made, Order, Status, folder, media_type
from stemma_serving.shelf import Shelf

if TYPE_CHECKING:  # they bring what the gateway and the main process do not need
    from stemma.models.protocol import Piece
    from stemma.provenance.certificate import Filters
    from stemma_serving.filters import Sieve
    from stemma_serving.marks import Marks, Output, Release

log = logging.getLogger("ray.serve")
PROOF_SECONDS = 60

NO_RELEASE = Problem(
    503,
    "no-release",
    "No model release is in production yet.",
    "Train and publish one: `stemma train`, then `stemma release publish`; it is picked up without a restart.",
    retry_after=10,
)
BROKEN = Problem(
    503,
    "release-broken",
    "The production release cannot be loaded; see the log of serving.",
    "Publish another release; nothing was billed.",
    retry_after=30,
)
LOADING = Problem(503, "loading", "The model is being loaded.", "Try again in a few seconds.", retry_after=3)


@dataclass(frozen=True)
class Model:
    """A release that is ready to play."""

    release: Release
    family: Family
    marks: Marks
    sieve: Sieve


class Generator:
    """One replica: one model, one piece at a time."""

    def __init__(self, config: GeneratorConfig, url_seconds: int, filters: FiltersConfig) -> None:
        import torch

        if config.threads:
            torch.set_num_threads(config.threads)
        self._settings = settings()
        self._config, self._url_seconds, self._filters = config, url_seconds, filters
        self._storage = Storage(self._settings)
        self._shelf = Shelf(self._storage, self._settings.home / "serving")
        self._covenants = Covenants(self._storage)
        self._engine = Engine(config.queue)
        self._metrics = GeneratorMetrics()
        self._uploads = ThreadPoolExecutor(8, thread_name_prefix="upload")
        self._model: Model | None = None
        self._problem = LOADING
        self._refused: str | None = None
        self._refused_until = 0.0
        self._proof_at = 0.0
        self._made = threading.Event()
        threading.Thread(target=self._watch, name="releases", daemon=True).start()

    async def status(self) -> Status:
        """What this replica can do at the moment."""
        self._metrics.queue.set(self._engine.load)
        if self._model is None:
            return Status(None, problem=self._problem)
        return Status(self._model.release.id, self._model.family.styles, territory=self._model.release.territory)

    async def make(self, order: Order) -> Made | Problem:
        """An output that lies in object storage, or why there is none."""
        model = self._model
        if model is None:
            return self._problem
        try:
            return await self._engine.run(lambda stop: self._work(model, order, stop))
        except RefusedError as error:
            return error.problem
        except UnavailableError as error:
            return Problem(503, "storage-unavailable", error.message, "Nothing was billed; try again.", retry_after=5)
        except StemmaError as error:
            return of(error)
        except InterruptedError:
            return Problem(503, "given-up", "The request was given up.", retry_after=1)

    def _work(self, model: Model, order: Order, stop: object) -> Made:
        start = time.monotonic()
        # The gateway has checked, but a new release may have come in between.
        check_release(order.model_releases, model.release.id)
        check_territory(order.territories, model.release.id, model.release.territory)
        piece, filters = self._play(model, order, stop)
        played = time.monotonic()
        output = model.marks.finish(order, piece, model.release, filters, self._covenants.get(order.covenant))
        marked = time.monotonic()
        self._upload(output)
        end = time.monotonic()
        for stage, seconds in (("model", played - start), ("sound", marked - played), ("upload", end - marked)):
            self._metrics.seconds.observe(seconds, {"stage": stage})
        self._metrics.real_time_factor.set(output.record.duration_ms / 1000 / (end - start))
        self._made.set()
        answer = output.record.answer(
            lambda key, name: self._storage.url(key, seconds=self._url_seconds, filename=name),
            {"proof": f"proofs/{model.release.id}.json"},
        )
        objects = (*output.objects, _record_key(order.id))
        return Made(output.record.usage(), json.dumps(answer).encode(), objects, output.certificate)

    def _play(self, model: Model, order: Order, stop: object) -> tuple[Piece, Filters]:
        """A piece that passes the filters, and what they found.  Raises `RefusedError` when none does."""
        from stemma_serving.filters import alarm, refusal

        request = order.request
        for left in range(0 if order.seed_given else self._filters.redraws, -1, -1):
            piece = model.family.generate(request, stop=stop)  # type: ignore[arg-type]
            found = model.sieve.hold(piece, order.prompt_rules)
            if said := alarm(found):
                self._metrics.verbatim.inc(tags={"release": model.release.id})
                log.warning("Verbatim: order %s, release %s, %s.", order.id, model.release.id, said)
            problem = refusal(found)
            if problem is None:
                return piece, found
            if not left:
                raise RefusedError(problem)
            request = request.model_copy(update={"seed": secrets.randbelow(2**53)})
        raise AssertionError("the last attempt returns or raises")

    def _upload(self, output: Output) -> None:
        """Every object, then the record: where there is a record, everything it names is there."""
        jobs = [
            self._uploads.submit(self._storage.put, key, body, media_type(key)) for key, body in output.objects.items()
        ]
        for job in jobs:
            job.result()
        record = output.record.model_dump_json().encode()
        self._storage.put(_record_key(output.record.id), record, "application/json")

    def _watch(self) -> None:
        """Follow the production release, for as long as the replica lives."""
        while True:
            try:
                self._follow()
                self._publish_proof()
            except StemmaError as error:
                log.warning("Releases: %s", error)
                self._problem = Problem(503, error.code, error.message, error.remedy, retry_after=5)
            except Exception:
                log.exception("The production release cannot be loaded.")
                self._problem = BROKEN
            time.sleep(self._config.poll_seconds)

    def _follow(self) -> None:
        wanted = self._shelf.production()
        if wanted is None:
            self._problem = NO_RELEASE
            return
        if self._model is not None and self._model.release.id == wanted:
            return
        if wanted == self._refused and time.monotonic() < self._refused_until:
            return
        # What is bad stays bad for a while; only a storage that does not answer is asked again at once.
        self._refused, self._refused_until = wanted, time.monotonic() + self._config.retry_seconds
        try:
            model = self._open(wanted)
        except UnavailableError:
            self._refused = None
            raise
        # One assignment: whoever works with the old one finishes with it.
        self._model, self._refused = model, None
        self._made.set()

    def _open(self, release: str) -> Model:
        from stemma import models
        from stemma_serving.filters import Sieve
        from stemma_serving.marks import Marks, Release

        if self._model is None:
            self._problem = LOADING
        start = time.monotonic()
        bundle = self._shelf.bundle(release)
        family = models.load(bundle)
        sieve = Sieve.open(bundle, self._filters)
        model = Model(Release.read(bundle), family, Marks(self._settings.keys_path), sieve)
        self._warm(model)
        log.info("Release %s is ready after %.1f s.", release, time.monotonic() - start)
        return model

    def _warm(self, model: Model) -> None:
        """The first piece pays for what is set up on first use; let it be nobody's."""
        from stemma.music.render import render

        piece = model.family.generate(GenerationRequest(bars=1, seed=0))
        if piece.midi is not None:
            render(piece.midi)

    def _publish_proof(self) -> None:
        """Keep the proof bundle beside outputs fresh while there are outputs."""
        from stemma.provenance import bundle
        from stemma.provenance.authority import Authority

        if self._model is None or not self._made.is_set() or time.monotonic() - self._proof_at < PROOF_SECONDS:
            return
        self._proof_at = time.monotonic()
        self._made.clear()
        try:
            bundle.publish(self._storage, self._model.release.id, Authority(self._settings.keys_path).anchors())
        except StemmaError as error:
            log.warning("The proofs of %s cannot be collected yet: %s", self._model.release.id, error)


def _record_key(generation: str) -> str:
    return folder(generation) + "generation.json"
