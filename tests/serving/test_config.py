from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from ray.serve.config import AutoscalingConfig

from stemma.config import settings
from stemma.errors import InvalidError
from stemma_serving.autoscaling import Autoscaling
from stemma_serving.config import ServingConfig, load, parse

pytestmark = pytest.mark.unit


def test_without_a_file_there_are_defaults() -> None:
    assert load(settings()) == ServingConfig()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[gateway]\nqueue = 3", "gateway.queue"),
        ("[generator]\nqueue = 0", "generator.queue"),
        ("[generator.autoscaling]\nmin_replicas = 4", "min_replicas 4 is above"),
        ("[generator.autoscaling]\nmax_replicas = 4\nupscale_delay_s = 1", "look_back_period_s"),
        ("[gateway]\nrefresh_seconds = 60", "gateway.refresh_seconds"),
        ("[ports]\nreplicas_from = 40000", "replicas_from must be below"),
        ("x = ", "is not TOML"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "serving.toml"
    path.write_text(text)
    with pytest.raises(InvalidError, match=named):
        parse(path)


def test_ray_takes_what_we_hand_it() -> None:
    assert Autoscaling().ray() == {"num_replicas": 1}
    given = Autoscaling(min_replicas=1, max_replicas=4).ray()["autoscaling_config"]
    assert AutoscalingConfig(**given).max_replicas == 4
    with pytest.raises(ValidationError, match="Extra inputs"):
        Autoscaling(max_replica=4)
