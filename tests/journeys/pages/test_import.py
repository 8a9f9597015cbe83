"""A label brings five thousand rows, corrects what is wrong, and confirms."""

from __future__ import annotations

import csv
import io
import re

import pytest

from portal.intake.conftest import line, table

pytestmark = pytest.mark.journey
ROWS = 5_000
WRONG = {17: {"isrc": "QZSTM-17"}, 1_700: {"two_share": "40"}, 4_999: {"upc": "036000291453"}}


def bring(tab, url: str, name: str, body: bytes) -> None:
    tab.goto(f"{url}/imports/")
    tab.get_by_label("File").set_input_files({"name": name, "mimeType": "text/csv", "buffer": body})
    tab.get_by_role("button", name="Read it").click()
    tab.get_by_role("heading", name="What do the columns mean?").wait_for()
    tab.get_by_role("button", name="Read the rows").click()


def taken(tab) -> None:
    tab.get_by_role("button", name="into the catalog").click()
    tab.get_by_role("link", name="See the catalog").wait_for(timeout=120_000)


def test_a_catalog_with_errors_is_corrected_and_comes_in(house, portal_worker, visit, tmp_path) -> None:
    here = visit("label-two")
    tab = here.tab
    right = ({"reference": f"N-{n}", "isrc": f"QZST2{n:07d}"} for n in range(1, ROWS + 1))
    body = table(*(line(n, **{**cells, **WRONG.get(n, {})}) for n, cells in enumerate(right, start=1)))
    bring(tab, house.url, "autumn.csv", body)
    tab.get_by_role("heading", name="autumn.csv").wait_for()
    tab.get_by_role("link", name="To correct 3").wait_for(timeout=120_000)
    here.step("rows with errors")
    for told in ("This is not an ISRC", "sum to 90 %", "The check digit is wrong."):
        assert tab.get_by_text(told).count() == 1
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download the 3 to correct").click()
    text = download.value.path().read_text("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 4
    taken(tab)
    assert tab.get_by_role("link", name=re.compile("New 4.997")).is_visible()
    here.step("the good rows came in")

    mended = text.replace("QZSTM-17", "QZST20000017").replace(",40,", ",50,").replace("036000291453", "036000291452")
    bring(tab, house.url, "autumn corrected.csv", mended.encode())
    tab.get_by_role("link", name="New 3").wait_for(timeout=60_000)
    assert tab.get_by_role("link", name="To correct").count() == 0
    here.step("corrected")
    taken(tab)
    here.step("confirmed")

    found = tab.get_by_role("link", name="Song 1700")
    for _ in range(30):
        tab.goto(f"{house.url}/catalog/?q=QZST20001700")
        if found.count():
            break
        tab.wait_for_timeout(500)  # the search learns of what came in behind the import
    assert found.count() == 1
    here.step("found in the catalog")
    assert here.complaints == []
