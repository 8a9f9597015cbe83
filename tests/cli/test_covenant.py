"""`stemma covenant` on files, with no portal."""

import json

import pytest
from typer.testing import CliRunner

from stemma.cli.covenant import app
from stemma.errors import InvalidError
from stemma.proof.canonical import canonical, digest
from stemma.rights.covenant import house_covenant_1, house_covenant_2

pytestmark = pytest.mark.unit


@pytest.fixture
def files(tmp_path):
    (tmp_path / "first.json").write_bytes(canonical(house_covenant_1()))
    (tmp_path / "second.json").write_bytes(canonical(house_covenant_2()))
    return str(tmp_path / "first.json"), str(tmp_path / "second.json")


def run(*words):
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def test_compare_tells_every_dimension_and_leaves_with_its_verdict(files):
    first, second = files
    wider, narrower, equal = run("compare", first, second), run("compare", second, first), run("compare", first, first)
    assert (wider.exit_code, narrower.exit_code, equal.exit_code) == (0, 3, 0)
    assert "days of grace after growth" in wider.stdout
    assert "creators: equal" in wider.stdout
    assert "community: narrower" in narrower.stdout
    told = json.loads(run("compare", first, second, "--json").stdout)
    assert told["verdict"] == "wider"
    assert {step["holder"] for step in told["steps"]} == {*told["holders"]}
    assert all(step["title"] in wider.stdout for step in told["steps"] if not step["title"].startswith("indemnity"))


def test_show_and_text_take_a_file(files):
    first, second = files
    assert digest(json.loads(run("show", first).stdout)) == digest(house_covenant_1())
    assert digest(house_covenant_2()) in run("text", second).stdout
    assert "What do creators get?" in run("text", second, "--summary").stdout


@pytest.mark.parametrize("body", ["{", "{}", '{"format": "stemma.covenant/2", "x": 1}'])
def test_a_file_that_is_no_covenant_is_refused(tmp_path, files, body):
    (tmp_path / "x.json").write_text(body)
    assert isinstance(run("compare", files[0], str(tmp_path / "x.json")).exception, InvalidError)
