from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from stemma.errors import InvalidError, UnavailableError
from stemma.music import instruments
from stemma.refusals import REFUSALS
from stemma_serving import problems
from stemma_serving.problems import Problem
from stemma_serving.spool import SpoolFullError

pytestmark = pytest.mark.unit


def test_a_body_has_the_members_of_rfc_9457_and_ours() -> None:
    problem = Problem(429, "rate", "Too fast.", "Wait 3 s.", retry_after=3, errors=({"field": "f", "rule": "r"},))
    assert json.loads(problem.body()) == {
        "type": "urn:stemma:problem:rate",
        "title": "Too many requests",
        "status": 429,
        "code": "rate",
        "detail": "Too fast.",
        "remedy": "Wait 3 s.",
        "retry_after": 3,
        "errors": [{"field": "f", "rule": "r"}],
    }
    assert problem.headers() == {"Retry-After": "3"}


def test_errors_of_ours_become_problems_for_the_caller() -> None:
    assert problems.of(InvalidError("No.", remedy="Do.")) == Problem(422, "invalid", "No.", "Do.")
    assert problems.of(UnavailableError("Down.")).status == 503


def test_the_list_of_refusals_is_what_the_code_refuses() -> None:
    """Read from the source: every status and code that is written down beside one another."""
    found = {(405, "method"), (404, "not-found")}  # of the router, by a table of its own
    for path in Path(problems.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Problem", "_refusal"}:
                status, code = (arg.value if isinstance(arg, ast.Constant) else None for arg in node.args[:2])
                if isinstance(status, int) and isinstance(code, str):
                    found.add((status, code))
    errors = {(422, unknown_instrument().code), (503, SpoolFullError.code), (503, UnavailableError.code)}
    listed = {(each.status, each.code) for each in REFUSALS}
    assert found | errors == listed, "say in stemma/refusals.py when they come and what the caller does"
    assert all(each.when and each.remedy for each in REFUSALS)
    assert len({each.code for each in REFUSALS}) == len(REFUSALS)
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    assert [each.code for each in REFUSALS if f"`{each.code}`" not in page] == []


def unknown_instrument() -> InvalidError:
    with pytest.raises(InvalidError) as refused:
        instruments.program("vuvuzela")
    return refused.value


def test_the_description_tells_every_refusal_of_a_generation() -> None:
    from stemma_serving.ingress import addresses

    described = addresses(None).openapi()["paths"]["/v1/generations"]["post"]  # type: ignore[arg-type]
    for each in REFUSALS:
        if each.status not in {404, 405}:
            assert f"`{each.code}`" in described["responses"][str(each.status)]["description"]
