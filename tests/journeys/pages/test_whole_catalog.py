"""A label brings its catalog: five thousand rows with errors, which it corrects; their sounds; its signature."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from journeys.pages.conftest import Visit
from journeys.pages.test_doing import use
from music.sounds import tune, write
from portal.intake.conftest import line, table
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing, verify
from stemma.proof.log import Receipt, check_receipt
from stemma.rights.consent import CONSENT, Grant
from support.patience import until
from support.portal import LivePortal
from support.visit import confirm

pytestmark = pytest.mark.journey
ROWS = 5_000
WRONG = {17: {"isrc": "QZSTM-17"}, 1_700: {"two_share": "40"}, 4_999: {"upc": "036000291453"}}
HEARD = {1, 2, 3}
"""Rows whose sounds are brought; they say no length, since ours are short."""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Three sounds of the catalog, one of them large, one in a ZIP; one of nobody's; one that is no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    write(folder / "QZST20000001.wav", tune(75))  # 13 MB: two parts
    write(folder / "N-2.flac", tune(12, seed=2))
    write(folder / "nobody knows me.mp3", tune(12, seed=3))
    (folder / "letter.wav").write_text("Dear label, here is my new song.")
    write(folder / "in.wav", tune(12, seed=4))
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(folder / "in.wav", "disc/QZST20000003.wav")
    return folder


@pytest.mark.timeout(1200)  # three journeys in one, and the house before them where it is the first
def test_a_label_brings_five_thousand_rows_corrects_them_brings_sounds_and_signs(
    house, portal_worker, visit, files
) -> None:
    here = visit("label-two")
    rows_come_in(here, house.url)
    sounds_find_their_recordings(here, house.url, files)
    all_of_it_is_signed(here, house)
    assert here.complaints == []


def rows_come_in(here: Visit, url: str) -> None:
    tab = here.tab
    right = (
        {"reference": f"N-{n}", "isrc": f"QZST2{n:07d}"} | ({"duration": ""} if n in HEARD else {})
        for n in range(1, ROWS + 1)
    )
    body = table(*(line(n, **{**cells, **WRONG.get(n, {})}) for n, cells in enumerate(right, start=1)))
    bring(here, url, "autumn.csv", body)
    tab.get_by_role("link", name="To correct 3").wait_for()
    for told in ("This is not an ISRC", "sum to 90 %", "The check digit is wrong."):
        assert tab.get_by_text(told).count() == 1
    here.step("three rows are wrong")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download the 3 to correct").click()
    text = download.value.path().read_text("utf-8-sig")
    assert len(list(csv.reader(io.StringIO(text)))) == 4
    taken(here)
    assert tab.get_by_role("link", name=re.compile("New 4.997")).is_visible()

    mended = text.replace("QZSTM-17", "QZST20000017").replace(",40,", ",50,").replace("036000291453", "036000291452")
    bring(here, url, "autumn corrected.csv", mended.encode())
    tab.get_by_role("link", name="New 3").wait_for()
    assert tab.get_by_role("link", name="To correct").count() == 0
    here.step("the corrected rows are right")
    taken(here)

    def found() -> int:
        """The search learns of what came in behind the import."""
        tab.goto(f"{url}/catalog/?q=QZST20001700")
        return tab.get_by_role("link", name="Song 1700").count()

    until(found, "Song 1700 is not found", pause=1)
    assert found() == 1
    here.step("found in the catalog")


def bring(here: Visit, url: str, name: str, body: bytes) -> None:
    tab = here.tab
    tab.goto(f"{url}/imports/")
    tab.get_by_label("File").set_input_files({"name": name, "mimeType": "text/csv", "buffer": body})
    here.step("chooses a file")
    tab.get_by_role("button", name="Read it").click()
    tab.get_by_role("heading", name="What do the columns mean?").wait_for()
    here.step("says what the columns mean")
    tab.get_by_role("button", name="Read the rows").click()
    tab.get_by_role("heading", name=name).wait_for()


def taken(here: Visit) -> None:
    here.tab.get_by_role("button", name="into the catalog").click()
    here.tab.get_by_role("link", name="See the catalog").wait_for()
    here.step("taken into the catalog")


def sounds_find_their_recordings(here: Visit, url: str, files: Path) -> None:
    """Dropped on the page they go to storage in parts, survive a bad line, and are matched."""
    tab = here.tab
    tab.goto(f"{url}/audio/")
    expect(tab.get_by_role("heading", name="Nothing was brought yet")).to_be_visible()
    here.step("no sound was brought yet")
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)

    # The line breaks at the second part of the large file, and the page is left.
    broken = re.compile(r"partNumber=2")
    tab.route(broken, lambda route: route.abort())
    tab.locator("[data-files]").first.set_input_files(files / "QZST20000001.wav")
    tab.wait_for_function("() => document.querySelector('[data-list] progress')?.value > 0.5")
    tab.get_by_role("button", name="Pause: QZST20000001.wav").click()
    expect(tab.locator("[data-list]").get_by_text("Paused", exact=True)).to_be_visible()
    here.step("the line broke")
    tab.unroute(broken)
    here.complaints.clear()
    tab.goto(f"{url}/audio/")
    expect(tab.get_by_role("link", name="Begun 1")).to_be_visible()

    sent.clear()
    names = ("QZST20000001.wav", "N-2.flac", "nobody knows me.mp3", "letter.wav", "more.zip")
    tab.locator("[data-files]").first.set_input_files([files / name for name in names])
    told = tab.locator("[data-sum]")
    expect(told).to_have_text("5 files · Needs you 1 · Taken 2 · Unpacked 1 · Refused 1")
    assert len([each for each in sent if "partNumber=2" in each]) == 1
    assert len(sent) == 5, "of the file that was begun only the missing part is sent"
    assert tab.locator("[data-list] li").count() == 5
    expect(tab.locator("main table .badge")).to_have_text("Taken")  # that was begun before, and is in the table too
    here.step("the sounds are sent")

    def taken(name: str) -> int:
        """What came in an archive is looked at after it, and the page is as it was sent."""
        tab.goto(f"{url}/audio/?show=taken")
        return tab.get_by_role("link", name=name).count()

    for name in ("QZST20000001.wav", "N-2.flac", "QZST20000003.wav"):
        until(lambda name=name: taken(name), f"{name} is not taken", pause=1)
    here.step("the sounds are taken")
    tab.goto(f"{url}/audio/?show=refused")
    expect(tab.get_by_text("This is neither sound nor a score.")).to_be_visible()
    here.step("one is no sound")

    # What nobody knows is given away by hand, to a recording that has one already, which it then replaces.
    tab.goto(f"{url}/audio/?show=waiting")
    tab.get_by_role("link", name="nobody knows me.mp3").click()
    tab.get_by_label("Title, artist, ISRC or your number").fill("QZST20000002")
    tab.get_by_role("button", name="Look").click()
    here.step("one is given away by hand")
    tab.get_by_role("button", name="It is this one").click()
    expect(tab.get_by_text("The recording has a sound already", exact=False).first).to_be_visible()
    here.step("it has a sound already")
    tab.get_by_role("button", name="It is right as it is").click()
    expect(tab.get_by_text("Taken", exact=True)).to_be_visible()
    tab.get_by_role("link", name="Song 2", exact=True).click()
    expect(tab.locator("[data-play]")).to_be_visible()
    here.step("a recording and its sound")


def all_of_it_is_signed(here: Visit, house: LivePortal) -> None:
    """Its conditions stand in the receipt, which proves itself; withdrawing is as easy as granting."""
    tab = here.tab
    tab.goto(f"{house.url}/consent/new/")
    assert "reauthenticate" in tab.url
    confirm(tab, house.logins["label-two"])
    use(tab, "Fine-tuning", "Only under the conditions below")
    tab.get_by_label("Models that write notes").check()
    tab.get_by_label(re.compile("to creators, in %")).fill("40")
    here.step("chooses what to allow")
    tab.get_by_role("button", name="Read the terms").click()
    expect(tab.locator("h1")).to_have_text("This is what you grant")
    expect(tab.locator(".terms")).to_contain_text("only for symbolic models; only where creators get at least 40 %")
    expect(tab.get_by_text("Text and data mining")).to_be_visible()
    tab.get_by_label(re.compile("I may sign for")).check()
    here.step("reads the terms")
    tab.get_by_role("button", name=re.compile("Sign as")).click()
    expect(tab.locator(".messages")).to_contain_text("Signed and logged")
    here.step("has signed")

    with tab.expect_download() as download:
        tab.get_by_role("link", name="Receipt (JSON)").click()
    receipt = json.loads(download.value.path().read_text())
    keys = KeyRing(house.home.path / "keys").jwks()
    grant = Grant.model_validate(verify(receipt["document"], keys, "rights", CONSENT))
    assert grant.use("fine_tuning") == "constrained"
    assert grant.conditions["fine_tuning"].creators_ppm == 400_000
    assert grant.signed_by == "label-two@stemma.test"
    assert len(grant.recordings) > ROWS
    check_receipt(Receipt.model_validate(receipt["receipt"]), keys, digest=sha256(receipt["document"].encode()))

    tab.get_by_role("link", name="Withdraw", exact=True).click()
    tab.get_by_label(re.compile("I withdraw it")).check()
    tab.get_by_role("button", name="Withdraw").click()
    expect(tab.locator(".messages")).to_contain_text("Withdrawn and logged")
    here.step("has withdrawn")
