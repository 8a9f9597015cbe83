"""Months of a license: whole ones, from the day on which it begins."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import datetime


def months_later(moment: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def month_starts(begins: datetime, before: datetime) -> Iterator[datetime]:
    """When each month of a license begins and its fee falls due: a license of twelve months has twelve."""
    count, moment = 0, begins
    while moment < before:
        yield moment
        count += 1
        moment = months_later(begins, count)
