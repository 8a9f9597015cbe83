"""Requests that may be sent twice and are answered once: `Idempotency-Key`.

Which generation a key stands for is an object that only its first request can write, so that all gateways
agree.  (After draft-ietf-httpapi-idempotency-key-header.)
"""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, ValidationError

from stemma.errors import NotFoundError
from stemma.proof.canonical import digest, sha256
from stemma.storage import ONCE, Storage
from stemma_serving.problems import Problem, RefusedError
from stemma_serving.records import Order, Record, folder

LONGEST = 255
RUNNING = Problem(
    409,
    "running",
    "The first request with this Idempotency-Key is at work.",
    "Send it again after a while.",
    retry_after=2,
)


class Note(BaseModel):
    """What the first request with a key has fixed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    generation: str
    seed: int
    request: str
    """SHA-256 of what was asked, as it was asked: without the seed that was made up for it."""


class First:
    """The notes of all keys, below `once/` in object storage; the portal removes them when they are `ONCE_KEPT` old."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def take(self, license_id: str, key: str, order: Order) -> Order:
        """The order with the identifier and the seed that its key stands for.

        Raises `RefusedError` for a key that is none, or stands for another request.
        """
        if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
            raise RefusedError(
                Problem(
                    422,
                    "idempotency-key",
                    "This Idempotency-Key is not one.",
                    f"Send 1 to {LONGEST} printable ASCII characters, such as a UUID.",
                )
            )
        asked = order.request.model_dump(mode="json", exclude=set() if order.seed_given else {"seed"})
        seed = order.request.seed
        assert seed is not None  # noqa: S101 - an order has one
        note = Note(generation=order.id, seed=seed, request=digest({**asked, "format": order.format}))
        place = f"{ONCE}{license_id}/{sha256(key.encode())}.json"
        if not self._storage.put_new(place, note.model_dump_json().encode(), "application/json"):
            asked_now, note = note.request, self._read(place, note)
            if note.request != asked_now:
                raise RefusedError(
                    Problem(
                        422,
                        "key-reused",
                        "This Idempotency-Key came with another request before.",
                        "Take a new key for a new request.",
                    )
                )
        request = order.request.model_copy(update={"seed": note.seed})
        return replace(order, id=note.generation, request=request)

    def finished(self, order: Order) -> Record | None:
        """The record of what the order asks for, when it was made before."""
        try:
            return Record.model_validate_json(self._storage.get(folder(order.id) + "generation.json"))
        except NotFoundError:
            return None

    def _read(self, place: str, other: Note) -> Note:
        try:
            return Note.model_validate_json(self._storage.get(place))
        except (NotFoundError, ValidationError):
            return other  # it was removed in this moment: then nobody was first
