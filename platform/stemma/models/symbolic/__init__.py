"""The symbolic family: a decoder over the notes of scores, small enough to train on a processor."""

from __future__ import annotations

from stemma.models.symbolic.family import Symbolic

__all__ = ["Symbolic"]
