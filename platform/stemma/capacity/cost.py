"""What a generated minute costs, from the price of a machine and a measured speed."""

from __future__ import annotations

from dataclasses import dataclass

from stemma.errors import InvalidError

MINUTES_PER_HOUR = 60


@dataclass(frozen=True)
class Machine:
    """A machine as it is paid for."""

    name: str
    hourly: float
    """Price of an hour, in whole units of a currency."""
    replicas: int = 1
    """Generators that it runs at once."""


def minute_cost(machine: Machine, *, speed: float, utilisation: float = 1.0) -> float:
    """Price of one minute of music, in units of the machine's currency.

    `speed` is minutes of music one replica makes per minute (the real-time factor that
    `benchmarks/generate_realtime.py` measures); `utilisation` the part of paid time in which
    replicas are busy, 0…1.
    """
    if not speed > 0 or not 0 < utilisation <= 1 or machine.hourly < 0 or machine.replicas < 1:
        raise InvalidError("A speed is positive, utilisation within 0…1, a price not negative, replicas at least one.")
    return machine.hourly / MINUTES_PER_HOUR / (speed * utilisation * machine.replicas)


def break_even(machine: Machine, *, speed: float, minute_fee: float) -> float:
    """Utilisation at which the fee for a minute pays for the machine; above 1 it never does."""
    if not minute_fee > 0:
        raise InvalidError("Only a fee above zero can pay for a machine.")
    return minute_cost(machine, speed=speed) / minute_fee
