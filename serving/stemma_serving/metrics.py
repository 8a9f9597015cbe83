"""What an operator asks of serving: how many, how fast, how full.  Exported by Ray for Prometheus."""

from __future__ import annotations

from functools import cached_property

from ray.util.metrics import Counter, Gauge, Histogram


class GatewayMetrics:
    """Figures of one gateway replica."""

    @cached_property
    def requests(self) -> Counter:
        """Answers by status and problem code."""
        return Counter("stemma_requests", "Answered requests.", tag_keys=("status", "code"))

    @cached_property
    def commit_seconds(self) -> Histogram:
        """Time to put a usage fact on disk."""
        return Histogram(
            "stemma_fact_commit_seconds",
            "Time to put a usage fact on disk.",
            boundaries=[0.001, 0.005, 0.02, 0.1, 0.5, 2],
        )

    @cached_property
    def licenses_age(self) -> Gauge:
        """Seconds since entitlements and revocations were last read."""
        return Gauge("stemma_licenses_age_seconds", "Seconds since licenses were last read from object storage.")


class GeneratorMetrics:
    """Figures of one generator replica."""

    @cached_property
    def seconds(self) -> Histogram:
        """Time of one generation, by stage."""
        return Histogram(
            "stemma_generation_seconds",
            "Time of one generation.",
            boundaries=[0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
            tag_keys=("stage",),
        )

    @cached_property
    def real_time_factor(self) -> Gauge:
        """Seconds of sound per second of work, of the last generation."""
        return Gauge("stemma_real_time_factor", "Seconds of sound made per second.")

    @cached_property
    def verbatim(self) -> Counter:
        """Pieces that held too long a passage of a work, by release; none of them left."""
        return Counter("stemma_verbatim", "Pieces with too long a passage of a work.", tag_keys=("release",))

    @cached_property
    def queue(self) -> Gauge:
        """Generations accepted and not finished."""
        return Gauge("stemma_generator_queue", "Generations accepted and not finished.")


class SpoolMetrics:
    """Figures of what waits on local disk."""

    @cached_property
    def shipped(self) -> Counter:
        """Facts taken to object storage."""
        return Counter("stemma_facts_shipped", "Facts taken to object storage.", tag_keys=("kind",))

    @cached_property
    def waiting(self) -> Gauge:
        """Segments that wait for object storage."""
        return Gauge("stemma_spool_segments", "Closed segments not shipped yet.", tag_keys=("kind",))

    @cached_property
    def pending(self) -> Gauge:
        """Generations that wait for their attribution."""
        return Gauge("stemma_attributions_pending", "Generations that wait for attribution.")

    @cached_property
    def aside(self) -> Gauge:
        """Generations whose attribution cannot be found, each with its reason in the spool."""
        return Gauge("stemma_attributions_aside", "Generations that cannot be attributed and were laid aside.")
