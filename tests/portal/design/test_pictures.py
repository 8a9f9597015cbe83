"""Pictures made on the server: as large as what they show, and safe to put on a page."""

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma_portal.design.svg.bars import bar, curve
from stemma_portal.design.svg.lineage import Generation, lineage
from stemma_portal.design.svg.pie import pie
from stemma_portal.design.svg.roll import Note, roll
from stemma_portal.design.svg.shares import Slice, share_bar
from stemma_portal.design.svg.treemap import Box, Leaf, layout, treemap
from stemma_portal.design.svg.waveform import waveform
from stemma_portal.design.svg.whiskers import Spread, whiskers

SVG = "{http://www.w3.org/2000/svg}"


@given(st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=60))
def test_areas_of_a_treemap_are_as_large_as_amounts(amounts: list[int]) -> None:
    amounts.sort(reverse=True)
    boxes = layout(amounts, Box(0, 0, 960, 420))
    for amount, box in zip(amounts, boxes, strict=True):
        assert box.width * box.height == pytest.approx(amount / sum(amounts) * 960 * 420, rel=1e-6)
        assert box.x >= -1e-6
        assert box.x + box.width <= 960 + 1e-4
        assert box.y + box.height <= 420 + 1e-4


def pictures() -> list[str]:
    evil = '<script>alert("1")</script>'
    return [
        treemap([Leaf(evil, evil, 3, "3 %", 0, "/x?a=1&b=2"), Leaf("b", "c", 1, "1 %")], label=evil),
        share_bar([Slice(evil, 700_000, 0), Slice("b", 300_000, 1)], label=evil),
        lineage(12, 3, [Generation(evil, "note", "/x"), Generation("b", "c", current=True)], label=evil),
        roll([Note(0, 60, 0.0, 1.0), Note(1, 48, 0.5, 2.0)], [0.0, 2.0], 2.0, label=evil),
        waveform([0, 120, 255] * 200, label=evil),
        curve([(0, 2.0), (10, 1.0)], label=evil, level=1.5),
        bar(1, 4),
        bar(1, 4, low=0, high=4),
        whiskers([Spread(evil, 3, 1, 5, evil, 0), Spread("b", 0, 0, 0, "0 %", None)], label=evil),
        whiskers([], label=evil),
        pie([Slice(evil, 700_000, 0), Slice("b", 400_000, 1)], whole=1_000_000, label=evil),
        pie([Slice(evil, 1_000_000, 0)], whole=1_000_000, label=evil),
        pie([], whole=1_000_000, label=evil),
    ]


@pytest.mark.parametrize("picture", pictures())
def test_a_picture_is_well_formed_and_carries_no_script_or_style(picture: str) -> None:
    plain = picture if "xmlns" in picture else picture.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    tree = ET.fromstring(plain)  # noqa: S314 - our own output
    assert tree.tag == f"{SVG}svg"
    for element in tree.iter():
        assert element.tag not in {f"{SVG}script", f"{SVG}style"}
        assert not {name for name in element.attrib if name == "style" or name.startswith("on")}


def test_a_roll_can_be_read_back() -> None:
    tree = ET.fromstring(roll([Note(0, 60, 1.5, 2.0)], [0.0], 60.0, label="a"))  # noqa: S314 - our own output
    scale = float(tree.attrib["data-scale"])
    note = next(each for each in tree.iter(f"{SVG}rect"))
    assert float(note.attrib["x"]) / scale == pytest.approx(1.5, abs=0.01)


def test_shares_keep_their_proportions() -> None:
    tree = ET.fromstring(share_bar([Slice("a", 750_000, 0), Slice("b", 250_000, 1)], label="a"))  # noqa: S314 - as above
    first, second = (float(rect.attrib["width"]) for rect in tree.iter(f"{SVG}rect"))
    assert first / second == pytest.approx(3, rel=0.02)


def test_a_whisker_reaches_from_end_to_end() -> None:
    tree = ET.fromstring(whiskers([Spread("a", 2, 1, 4, "2", 0), Spread("b", 1, 1, 1, "1", None)], label="a"))  # noqa: S314 - as above
    first, second = (each.attrib["d"] for each in tree.iter(f"{SVG}path"))
    assert first.startswith("M80 ")
    assert "H319.5" in first
    assert "H80" in second


def test_silence_has_a_waveform_too() -> None:
    assert len(re.findall("M", waveform([0] * 400, label="nothing"))) == 400  # 200 bars, drawn twice


@given(st.lists(st.integers(min_value=1, max_value=1_000_000), max_size=12))
def test_slices_of_a_pie_are_as_large_as_shares(amounts: list[int]) -> None:
    """Read back from the outer arcs; what is missing to the whole stays open."""
    tree = ET.fromstring(pie([Slice("a", n, i) for i, n in enumerate(amounts)], whole=1_000_000, label="a"))  # noqa: S314 - as above
    circle = max(sum(amounts), 1_000_000)
    slices = list(tree.iter(f"{SVG}path"))
    assert len(slices) == len(amounts)
    for path, amount in zip(slices, amounts, strict=True):
        ax, ay, large, bx, by = re.match(
            r"M([\d.]+) ([\d.]+)A92 92 0 ([01]) 1 ([\d.]+) ([\d.]+)", path.attrib["d"]
        ).groups()
        start, end = (math.atan2(float(x) - 100, 100 - float(y)) for x, y in ((ax, ay), (bx, by)))
        turn = (end - start) / (2 * math.pi) % 1
        assert (turn - amount / circle + 0.5) % 1 - 0.5 == pytest.approx(0, abs=1e-3) or amount == circle
        assert large == str(int(amount / circle > 0.5)) or amount == circle
    assert ("over" in tree.attrib["class"]) == (sum(amounts) > 1_000_000)
    assert ("under" in tree.attrib["class"]) == (sum(amounts) < 1_000_000)
