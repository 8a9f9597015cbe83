"""Regions and periods as codes; what we cannot tell stays unknown."""

import pytest

from stemma.catalog.origin import REGIONS, century, century_name, period_code, region_code, region_name
from stemma.catalog.repertoire import everything


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Germany", "DE"), ("  ireland ", "IE"), ("ie", "IE"), ("Scotland", "GB-SCT"), ("de-by", "DE-BY"),
        ("Türkiye", "TR"), ("turkey", "TR"), ("419", "419"), ("South-eastern Asia", "035"), ("Cote d'Ivoire", "CI"),
        ("", ""), ("Middle-earth", ""), ("QQ", ""), ("QQ-BY", ""), ("999", ""),
    ],
)  # fmt: skip
def test_a_region(text: str, code: str) -> None:
    assert region_code(text) == code


def test_every_region_means_itself() -> None:
    assert sum(code.isalpha() for code in REGIONS) == 249, "as many as ISO 3166-1 has"
    for code in REGIONS:
        assert region_code(code) == code
        assert region_code(region_name(code)) == code
    assert region_name("DE-BY") == "DE-BY"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1731", "1731"), ("17XX", "17XX"), ("17xx", "17XX"), ("1700s", "17XX"), ("18th century", "17XX"),
        ("18. Jahrhundert", "17XX"), ("1st century", "00XX"), ("", ""), ("long ago", ""), ("0000", ""),
        ("0th century", ""),
    ],
)  # fmt: skip
def test_a_period(text: str, code: str) -> None:
    assert period_code(text) == code


def test_a_century() -> None:
    assert (century("1731"), century("17XX", 1999), century("", 1883), century("")) == ("17XX", "17XX", "18XX", "")
    assert century("", -300) == ""
    assert century_name("17XX") == "1700–1799"


def test_every_region_of_the_house_catalog_has_a_code() -> None:
    assert {piece.region for piece in everything() if not region_code(piece.region)} == set()
