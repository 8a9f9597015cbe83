"""The clock of background work."""

from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler


class Clock(PersistentScheduler):  # type: ignore[misc]
    """Celery's own, which leaves a sign whenever it looks at what is due.

    The date of its schedule's file says nothing of whether it lives: what is written through a mapping may keep the old
    one.  Whoever watches over it asks how old `<schedule>-alive` is.
    """

    def tick(self, *args: Any, **options: Any) -> float:
        """Send what is due; returns the seconds until there is more."""
        Path(f"{self.schedule_filename}-alive").touch()
        return float(super().tick(*args, **options))
