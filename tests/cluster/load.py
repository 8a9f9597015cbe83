"""Callers who want music all the time, and count every answer."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import httpx


@dataclass
class Load:
    """Callers of one address.  503 and 429 with Retry-After refuse; anything else but 201 is a failure."""

    url: str
    key: str
    callers: int
    seconds_of_patience: float = 150
    answers: Counter[str] = field(default_factory=Counter)
    made: list[str] = field(default_factory=list)
    """Identifiers of the pieces delivered."""
    releases: Counter[str] = field(default_factory=Counter)
    """Releases of the model that made them."""
    refused: list[float] = field(default_factory=list)
    """When callers were told to come back."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(self.seconds_of_patience)

    def _call(self, number: int) -> None:
        seed = number * 1_000_000
        with httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}) as client:
            while not self._stop.is_set():
                seed += 1
                try:
                    answer = client.post(
                        "/v1/generations", json={"bars": 2, "seed": seed}, timeout=self.seconds_of_patience
                    )
                except httpx.HTTPError as error:
                    self.failures.append((time.time(), type(error).__name__))
                    time.sleep(0.5)
                    continue
                self.answers[str(answer.status_code)] += 1
                if answer.status_code == 201:
                    self.made.append(answer.json()["id"])
                    self.releases[answer.json()["model_release"]] += 1
                elif answer.status_code in {429, 503} and "Retry-After" in answer.headers:
                    self.refused.append(time.time())
                    time.sleep(min(2.0, float(answer.headers["Retry-After"])))
                else:
                    self.failures.append((time.time(), str(answer.status_code)))
                    time.sleep(0.5)

    def recovered(self, since: float) -> float:
        """Seconds from a moment to the last answer that was no piece; 0 when all were."""
        return max([0.0, *(when - since for when, _ in self.failures), *(when - since for when in self.refused)])

    def told(self) -> str:
        """One line."""
        kinds = Counter(kind for _, kind in self.failures)
        return f"{len(self.made)} made, answers {dict(self.answers)}, failures {dict(kinds)}"
