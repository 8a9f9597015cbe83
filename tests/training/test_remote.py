"""What is refused before a cluster is asked, and when there is none; tests/cluster has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemma.errors import InvalidError, UnavailableError
from stemma.training import presets, remote

pytestmark = pytest.mark.unit


def test_the_presets_of_a_job_are_those_of_a_run() -> None:
    assert remote.PRESETS.keys() == presets.PRESETS.keys()


@pytest.mark.parametrize(("snapshot", "preset"), [("a; rm -rf /", "tiny"), ("", "tiny"), ("-x", "tiny"), ("s", "huge")])
def test_words_that_could_be_commands_are_no_job(snapshot: str, preset: str) -> None:
    with pytest.raises(InvalidError):
        remote.training("stemma", "music").submit(snapshot, preset)


def test_without_a_cluster_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(UnavailableError, match="KUBECONFIG"):
        remote.training("stemma", "music").jobs()


def test_a_cluster_that_does_not_answer_is_told_as_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(
        "{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x, user: x}}], "
        "users: [{name: x, user: {token: t}}], clusters: [{name: x, cluster: {server: 'http://127.0.0.1:9'}}]}"
    )
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    with pytest.raises(UnavailableError, match="does not answer"):
        remote.training("stemma", "music").jobs()
