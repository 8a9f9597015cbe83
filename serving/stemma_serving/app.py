"""The deployments and how they are joined."""

from __future__ import annotations

from ray import serve

from stemma_serving.attributor import Attributor
from stemma_serving.config import ServingConfig
from stemma_serving.generator import Generator
from stemma_serving.ingress import GatewayIngress
from stemma_serving.remote import RemoteGenerator
from stemma_serving.usage import UsageShipper

NAME = "stemma"


def build(config: ServingConfig) -> serve.Application:
    """The application: a gateway bound to its generators and to the keepers of what follows the answer."""
    generator = serve.deployment(
        Generator,
        name="Generator",
        # The engine in it refuses what is too much; Ray only has to let status questions through.
        max_ongoing_requests=config.generator.queue + 8,
        ray_actor_options={
            "num_cpus": config.generator.cpus,
            "num_gpus": config.generator.gpus,
            "resources": config.generator.resources,
        },
        graceful_shutdown_timeout_s=config.stop_seconds,
        health_check_period_s=2,
        **config.generator.autoscaling.ray(),
    )
    gateway = serve.deployment(
        GatewayIngress,
        name="Gateway",
        max_ongoing_requests=config.gateway.concurrent,
        ray_actor_options={"num_cpus": config.gateway.cpus, "resources": config.gateway.resources},
        graceful_shutdown_timeout_s=config.stop_seconds,
        health_check_period_s=2,
        **config.gateway.autoscaling.ray(),
    )
    makes = RemoteGenerator(
        generator.bind(config.generator, config.gateway.url_seconds, config.filters), config.gateway.attempts
    )
    if config.keepers == "sidecar":
        return gateway.bind(config, makes)
    shipper = serve.deployment(
        UsageShipper,
        name="UsageShipper",
        ray_actor_options={"num_cpus": config.spool.cpus},
        graceful_shutdown_timeout_s=1,
    )
    attributor = serve.deployment(
        Attributor,
        name="Attributor",
        ray_actor_options={"num_cpus": config.attributor.cpus},
        graceful_shutdown_timeout_s=1,
        **config.attributor.autoscaling.ray(),
    )
    return gateway.bind(config, makes, shipper.bind(config.spool), attributor.bind(config.attributor, config.spool))
