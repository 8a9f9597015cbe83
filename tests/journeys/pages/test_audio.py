"""A label drops files on the page: they go to storage in parts, survive a bad line, and find their recordings."""

from __future__ import annotations

import re
import zipfile

import pytest
from playwright.sync_api import expect

from journeys.pages.test_import import bring, taken
from music.sounds import tune, write
from portal.intake.conftest import line, table

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three sounds of the catalog, one of them large, one in a ZIP; one of nobody's; one that is no sound."""
    folder = tmp_path_factory.mktemp("sounds")
    write(folder / "QZST30000001.wav", tune(75))  # 13 MB: two parts
    write(folder / "A-2.flac", tune(12, seed=2))
    write(folder / "nobody knows me.mp3", tune(12, seed=3))
    (folder / "letter.wav").write_text("Dear label, here is my new song.")
    write(folder / "in.wav", tune(12, seed=4))
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(folder / "in.wav", "disc/QZST30000003.wav")
    return folder


def test_sounds_are_dropped_and_find_their_recordings(house, portal_worker, visit, files) -> None:
    here = visit("label-two")
    tab = here.tab
    rows = ({"reference": f"A-{n}", "isrc": f"QZST3{n:07d}", "duration": ""} for n in (1, 2, 3))
    bring(tab, house.url, "sounds.csv", table(*(line(n, **cells) for n, cells in enumerate(rows, start=91))))
    tab.get_by_role("heading", name="sounds.csv").wait_for()
    tab.get_by_role("button", name="into the catalog").wait_for(timeout=60_000)
    taken(tab)

    tab.goto(f"{house.url}/audio/")
    expect(tab.get_by_role("heading", name="Nothing was brought yet")).to_be_visible()
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)

    # The line breaks at the second part of the large file, and the page is left.
    broken = re.compile(r"partNumber=2")
    tab.route(broken, lambda route: route.abort())
    tab.locator("[data-files]").first.set_input_files(files / "QZST30000001.wav")
    tab.wait_for_function("() => document.querySelector('[data-list] progress')?.value > 0.5", timeout=30_000)
    tab.get_by_role("button", name="Pause: QZST30000001.wav").click()
    expect(tab.get_by_text("paused", exact=False).first).to_be_visible()
    here.step("paused")
    tab.unroute(broken)
    here.complaints.clear()
    tab.goto(f"{house.url}/audio/")
    expect(tab.get_by_role("link", name="Begun 1")).to_be_visible()

    sent.clear()
    names = ("QZST30000001.wav", "A-2.flac", "nobody knows me.mp3", "letter.wav", "more.zip")
    tab.locator("[data-files]").first.set_input_files([files / name for name in names])
    told = tab.locator("[data-sum]")
    expect(told).to_have_text("5 files: 3 taken, 1 need you, 1 refused.", timeout=120_000)
    assert len([url for url in sent if "partNumber=2" in url]) == 1
    assert len(sent) == 5, "of the file that was begun only the missing part is sent"
    assert tab.locator("[data-list] li").count() == 5
    here.step("brought")

    tab.goto(f"{house.url}/audio/?show=taken")
    for name in ("QZST30000001.wav", "A-2.flac", "QZST30000003.wav"):
        tab.get_by_role("link", name=name).wait_for(timeout=60_000)
    tab.goto(f"{house.url}/audio/?show=refused")
    expect(tab.get_by_text("This is neither sound nor a score.")).to_be_visible()

    # What nobody knows is given away by hand, to a recording that has none yet: there is none left, so a new one.
    tab.goto(f"{house.url}/audio/?show=waiting")
    tab.get_by_role("link", name="nobody knows me.mp3").click()
    tab.get_by_label("Title, artist, ISRC or your number").fill("A-2")
    tab.get_by_role("button", name="Look").click()
    tab.get_by_role("button", name="It is this one").click()
    expect(tab.get_by_text("The recording has a sound already", exact=False).first).to_be_visible()
    here.step("which recording")
    tab.get_by_role("button", name="It is right as it is").click()
    expect(tab.get_by_text("Taken", exact=True)).to_be_visible()
    tab.get_by_role("link", name="Song 92").click()
    expect(tab.locator("[data-play]")).to_be_visible()
    here.step("heard")
    assert here.complaints == []
