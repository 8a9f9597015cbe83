"""A fidelity card of round figures, for what reads and shows cards; trainings of its own make a real one."""

from __future__ import annotations

from typing import Any

OURS, SISTERS = "this method", "with sister runs"


def card() -> dict[str, Any]:
    """As `training.fidelity.evaluate` gives it."""
    lds = {OURS: 0.48, SISTERS: 0.52, "one checkpoint": 0.35, "trigrams of tokens": 0.21}

    def rows(less: float) -> dict[str, Any]:
        return {
            name: {
                "lds": value - less,
                "low": value - less - 0.06,
                "high": value - less + 0.06,
                "null": 0.04,
                "ceiling": 0.81 - less,
            }
            for name, value in lds.items()
        }

    def differences() -> dict[str, Any]:
        return {
            name: {"mean": lds[OURS] - value, "low": lds[OURS] - value - 0.05, "high": lds[OURS] - value + 0.05}
            for name, value in lds.items()
            if name != OURS
        }

    kinds, levels = ("generated", "held out"), {"works": 0.0, "owners": 0.1}
    style = {"low": 0.1, "high": 0.5, "null": 0.1, "ceiling": 0.6}
    return {
        "format": "stemma.fidelity/2",
        "profile": "quick",
        "study": {
            "parameters": 230_000,
            "recordings": 240,
            "owners": 24,
            "segments": 240,
            "trainings": 120,
            "queries": {"generated": 48, "held out": 24},
        },
        "plan": {"keep": 32_768},
        "fact": {"lds": 0.48, "lds_low": 0.42, "lds_high": 0.54, "curve": {"exponent": 1.2, "scale": 0.5}},
        "lds": {kind: {level: rows(less) for level, less in levels.items()} for kind in kinds},
        "differences": {kind: {level: differences() for level in levels} for kind in kinds},
        "styles": {
            "fiddle": {"recordings": 60, "lds": 0.4, **style},
            "joik": {"recordings": 3, "lds": 0.3, **style},
        },
        "calibration": {"slope": 0.82, "low": 0.62, "high": 1.15},
        "removal": {
            OURS: {"nats": 0.021, "error": 0.004, "worse": 7, "queries": 8},
            "trigrams of tokens": {"nats": 0.009, "error": 0.005, "worse": 5, "queries": 8},
        },
        "stability": 0.44,
        "diagnosis": {name: {"column_mass": 0.2, "effective_rank": 30.5, "alike": 0.1} for name in lds},
    }
