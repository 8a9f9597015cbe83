from __future__ import annotations

import json

import pytest

from stemma.errors import InvalidError, UnavailableError
from stemma_serving import problems
from stemma_serving.problems import Problem

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
