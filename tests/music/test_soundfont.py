from __future__ import annotations

import pytest

from stemma.errors import NotFoundError, UnavailableError
from stemma.music import soundfont


@pytest.fixture
def bare(monkeypatch, settings_changed, tmp_path):
    """A machine without any SoundFont."""
    settings_changed(home=str(tmp_path))
    monkeypatch.delenv("STEMMA_SOUNDFONT", raising=False)
    monkeypatch.setattr(soundfont, "_SYSTEM", ())
    from stemma.config import settings

    settings.cache_clear()
    return tmp_path


def test_a_bare_machine_is_told_what_to_do(bare):
    with pytest.raises(NotFoundError) as caught:
        soundfont.find()
    assert "fluid-soundfont-gm" in caught.value.remedy


def test_the_homes_own_comes_with_its_license(bare):
    folder = bare / "soundfont"
    folder.mkdir()
    (folder / soundfont.FILE).write_bytes(b"RIFF")
    (folder / "copyright").write_text("MIT")
    found = soundfont.install(bare)
    assert found == soundfont.SoundFont(folder / soundfont.FILE, "Fluid R3 GM", "MIT", folder / "copyright")


def test_where_there_is_no_apt_it_says_so(bare, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnavailableError) as caught:
        soundfont.install(bare)
    assert "STEMMA_SOUNDFONT" in caught.value.remedy


def test_a_named_font_that_is_missing_is_not_replaced_in_silence(bare, settings_changed):
    settings_changed(soundfont=str(bare / "away.sf2"))
    with pytest.raises(NotFoundError, match=r"away\.sf2"):
        soundfont.install(bare)
