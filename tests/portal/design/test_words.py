"""Figures in words."""

import pytest
from django.template import Context, Template

from stemma_portal.design.markdown import rendered
from stemma_portal.design.templatetags.stemma import brief, clock, exact, minutes, moment, money, ppb, ppm, share, worth
from stemma_portal.design.values import identifiers

THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("micro", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (9_999, "$0.009999"),
        (10_000, "$0.01"),
        (1_999_999, "$1.99"),
        (-2_500_000, f"{MINUS}$2.50"),
        (1_234_567_890_000, f"$1{THIN}234{THIN}567.89"),
    ],
)
def test_money_is_cut_never_rounded_up(micro: int, shown: str) -> None:
    assert money(micro, "USD") == shown


def test_money_to_the_last_unit() -> None:
    assert exact(1_000_001, "EUR") == "€1.000001"
    assert exact(-1, "CHF") == f"{MINUS}CHF{THIN}0.000001"


def test_shares_are_told_apart() -> None:
    assert ppm(500_000) == f"50{THIN}%"
    assert ppm(333_333) == f"33.3{THIN}%"
    assert ppb(1) == f"<{THIN}0.01{THIN}%"
    assert ppb(0) == f"0{THIN}%"


def test_shares_together_are_so_many_pieces() -> None:
    assert [worth(n) for n in (0, 1, 250_000_000, 999_999_999, 10**9, 1_500_000_000, 1_234 * 10**9)] == [
        "0 of a piece", f"<{THIN}0.001 of a piece", "0.25 of a piece", "0.999 of a piece", "1 piece", "1.5 pieces",
        f"1{THIN}234 pieces",
    ]  # fmt: skip


def test_times() -> None:
    assert clock(83_400) == "1:23"
    assert minutes(90_000) == f"1.5{THIN}min"
    assert "21 Nov 2026, 09:05 UTC" in moment("2026-11-21T10:05:00+01:00")
    assert moment(None) == "–"


def test_a_hash_is_shortened_and_kept_whole() -> None:
    assert "abcdefabcdef…" in brief("abcdef" * 10)
    assert "abcdef" * 10 in brief("abcdef" * 10)


def test_what_is_no_identifier_is_left_out() -> None:
    good = "01a1fd6f-145e-70e4-813e-be809f8bd3aa"
    assert identifiers([good.upper(), "", "1; DROP TABLE", "x" * 36]) == [good]


def test_a_model_card_carries_no_html_of_its_own() -> None:
    page = rendered("---\nlicense: x\n---\n# A\n\n<script>x</script> ![i](http://elsewhere/x.png)\n\n|a|\n|:-|\n|1|\n")
    assert "license: x" not in page
    assert "<h3>A</h3>" in page
    assert "<script" not in page
    assert "elsewhere" not in page
    assert "style=" not in page
    assert "<table>" in page


def test_badges_do_not_depend_on_colour() -> None:
    shown = Template('{% load stemma %}{% badge "not-free" %}{% badge "never-heard-of" %}').render(Context())
    assert "Source not free" in shown
    assert "Never heard of" in shown


def test_shares_are_told_to_the_last_part_per_million():
    assert [share(value).split("\N{NARROW NO-BREAK SPACE}")[0] for value in (333_333, 1, 1_000_000, 500_000, 0)] == [
        "33.3333",
        "0.0001",
        "100",
        "50",
        "0",
    ]
