"""The n-gram model that every trained model must beat: interpolated Witten–Bell on the same tokens."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from stemma.models.symbolic.tokens import Segment

ORDER = 5


class Ngram:
    """Predicts a token from the `order - 1` before it (Witten and Bell, 1991), falling back step by step."""

    def __init__(self, size: int, order: int = ORDER) -> None:
        self.size, self.order = size, order
        self.counts: list[dict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in range(order)]

    def learn(self, segments: Iterable[Segment]) -> None:
        """Count the tokens of segments."""
        for segment in segments:
            tokens = segment.tokens.tolist()
            for place, token in enumerate(tokens):
                for length in range(min(self.order, place + 1)):
                    self.counts[length][tuple(tokens[place - length : place])][token] += 1

    def odds(self, context: tuple[int, ...], token: int) -> float:
        """Probability of the token after this context."""
        probability = 1.0 / self.size
        for length in range(min(self.order, len(context) + 1)):
            seen = self.counts[length].get(context[len(context) - length :])
            if seen is None:
                break
            total, kinds = seen.total(), len(seen)
            probability = (seen[token] + kinds * probability) / (total + kinds)
        return probability

    def loss(self, segments: Iterable[Segment]) -> float:
        """Negative log likelihood in nats of all tokens that the grammar leaves free."""
        nats = 0.0
        for segment in segments:
            tokens = segment.tokens.tolist()
            for place, (token, free) in enumerate(zip(tokens, segment.free.tolist(), strict=True)):
                if free:
                    nats -= math.log(self.odds(tuple(tokens[max(0, place - self.order + 1) : place]), token))
        return nats
