"""Tables say where and when a recording has its origin."""

import pytest

from stemma.catalog.columns import guess
from stemma.catalog.table import read_period, read_region


def test_headings() -> None:
    assert guess(["Tradition", "Region of origin", "Century", "Year"]) == {
        "Tradition": "style",
        "Region of origin": "region",
        "Century": "period",
        "Year": "year",
    }


@pytest.mark.parametrize("text", ["", "Ireland", "GB-SCT", "419"])
def test_a_region_that_is_known(text: str) -> None:
    assert read_region(text) == (text, ())


def test_a_region_that_is_not_known_stays_and_is_told() -> None:
    value, told = read_region("Over the hills")
    assert value == "Over the hills"
    assert [(rule, severity) for rule, _, severity in told] == [("region", "warning")]
    assert read_region("x" * 101)[1][0][0] == "too-long"


def test_a_period() -> None:
    assert read_period(" 18th century ") == ("17XX", ())
    assert read_period("") == ("", ())
    assert read_period("long ago")[1][0][2] == "error"
