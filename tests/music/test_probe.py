"""A sound is decoded whole, measured, and judged: real files, real ffmpeg."""

import hashlib
import struct
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyloudnorm import Meter

from music.sounds import RATE, tune, write
from stemma.errors import InvalidError
from stemma.music.likeness import bit_error
from stemma.music.probe import findings, probe


def rules(path, **given):
    return {finding.rule: finding.severity for finding in findings(probe(path), **given)}


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aif", "a.mp3", "a.ogg", "a.opus"])
def test_every_format_is_measured_alike(tmp_path, name):
    samples = tune(12)
    rate = 48_000 if name == "a.opus" else RATE
    found = probe(write(tmp_path / name, samples, rate))
    assert found.duration_ms == pytest.approx(1000 * len(samples) / rate, abs=60)
    assert (found.rate, found.channels) == (rate, 2)
    expected = Meter(rate).integrated_loudness(samples / 32768)
    assert found.loudness_lufs == pytest.approx(expected, abs=0.2 if name in {"a.wav", "a.flac", "a.aif"} else 1.0)
    assert max(found.peaks) == pytest.approx(127, abs=16)
    assert found.damage == 0


def test_the_master_is_the_same_whatever_held_the_samples(tmp_path):
    samples = tune(5)
    hashes = set()
    for name in ("a.wav", "a.flac", "a.aif"):
        probe(write(tmp_path / name, samples), master=tmp_path / "master")
        data = (tmp_path / "master").read_bytes()
        assert (soundfile.read(tmp_path / "master", dtype="int16")[0] == samples).all()
        hashes.add(hashlib.sha256(data).hexdigest())
    assert len(hashes) == 1


def test_a_master_of_24_bits_keeps_them(tmp_path):
    samples = (tune(3).astype(np.int32) << 16) | 0x0000_5A00
    probe(write(tmp_path / "a.wav", samples, subtype="PCM_24"), master=tmp_path / "master")
    assert soundfile.info(tmp_path / "master").subtype == "PCM_24"
    kept = soundfile.read(tmp_path / "master", dtype="int32")[0]
    assert (kept == samples).all()


def test_a_preview_plays_and_tells_nothing_of_its_origin(tmp_path):
    probe(write(tmp_path / "a.wav", tune(10)), preview=tmp_path / "preview")
    assert soundfile.info(tmp_path / "preview").format == "MP3"
    assert soundfile.info(tmp_path / "preview").duration == pytest.approx(10, abs=0.2)
    assert (tmp_path / "preview").stat().st_size < 200_000


def test_copies_have_one_fingerprint_and_strangers_another(tmp_path):
    one = probe(write(tmp_path / "a.wav", tune(30))).fingerprint
    copy = probe(write(tmp_path / "a.mp3", tune(30))).fingerprint
    stranger = probe(write(tmp_path / "b.wav", tune(30, seed=2))).fingerprint
    assert bit_error(one, copy) < 0.05
    assert bit_error(one, stranger) > 0.3


def test_many_channels_are_mixed_to_two(tmp_path):
    six = np.repeat(tune(3)[:, :1], 6, axis=1)
    path = write(tmp_path / "a.wav", six)
    found = probe(path, master=tmp_path / "master")
    assert found.channels == 6
    assert soundfile.info(tmp_path / "master").channels == 2
    assert rules(path)["channels"] == "note"


# --- What is wrong with it --------------------------------------------------------------------------


def test_a_good_sound_has_no_findings(tmp_path):
    assert rules(write(tmp_path / "a.wav", tune(5)), expected_ms=5_400) == {}


def test_silence_is_refused(tmp_path):
    assert rules(write(tmp_path / "a.wav", np.zeros((RATE, 2), np.int16))) == {"silent": "error"}


def test_silence_around_and_within_is_told(tmp_path):
    quiet = np.zeros((RATE * 16, 2), np.int16)
    samples = np.concatenate([quiet[: RATE * 4], tune(2), quiet, tune(2), quiet[: RATE * 9]])
    path = write(tmp_path / "a.wav", samples)
    assert rules(path) == {"silent-start": "note", "silent-end": "note", "gap": "doubt"}
    found = probe(path)
    assert found.silent_start_ms == pytest.approx(4000, abs=30)
    assert found.silent_end_ms == pytest.approx(9000, abs=30)
    assert found.silent_longest_ms == pytest.approx(16000, abs=30)


def test_clipping_is_counted(tmp_path):
    loud = np.clip(tune(5).astype(np.int32) * 4, -32768, 32767).astype(np.int16)
    path = write(tmp_path / "a.wav", loud)
    assert rules(path)["clipping"] == "note"
    full = np.abs(loud.astype(np.int32)) >= 32767 - 2
    assert probe(path).clipped == np.count_nonzero(full[2:] & full[1:-1] & full[:-2])


def test_another_length_than_the_catalog_says_is_a_doubt(tmp_path):
    assert rules(write(tmp_path / "a.wav", tune(12)), expected_ms=225_000) == {"length": "doubt"}


def test_a_low_rate_and_losses_are_noted(tmp_path):
    assert rules(write(tmp_path / "a.mp3", tune(5, rate=22_050), 22_050)) == {"rate": "note", "lossy": "note"}


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aif"])
def test_a_truncated_sound_is_refused(tmp_path, name):
    path = write(tmp_path / name, tune(20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert rules(path)["truncated"] == "error"


def test_a_wav_that_claims_ten_gigabytes_is_what_it_is(tmp_path):
    path = write(tmp_path / "a.wav", tune(3))
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 0xFFFF_FF00)
    path.write_bytes(data)
    found = probe(path)
    assert found.duration_ms == 3000
    assert "truncated" in {each.rule for each in findings(found)}


def test_a_wav_whose_header_claims_another_rate_is_told_by_its_length(tmp_path):
    path = write(tmp_path / "a.wav", tune(20))
    data = bytearray(path.read_bytes())
    place = data.index(b"fmt ") + 12
    data[place : place + 4] = struct.pack("<I", 8000)
    path.write_bytes(data)
    assert rules(path, expected_ms=20_000) == {"length": "doubt", "rate": "note"}


def test_samples_that_are_no_numbers_do_no_harm(tmp_path):
    samples = tune(3).astype(np.float32) / 32768
    samples[1000:2000] = np.nan
    found = probe(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    assert np.isfinite(found.loudness_lufs)
    assert found.duration_ms == 3000


def test_what_is_no_sound_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"MThd" + bytes(20))
    with pytest.raises(InvalidError) as refused:
        probe(path)
    assert refused.value.code == "no-sound"


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["a.wav", "a.flac", "a.aif", "a.mp3", "a.ogg"]),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=40)), max_size=6),
    cut=st.floats(0.01, 1),
)
def test_any_damage_is_measured_or_refused(tmp_path, name, damage, cut):
    path = write(tmp_path / name, tune(2))
    data = bytearray(path.read_bytes())
    for place, bytes_ in damage:
        at = int(place * len(data))
        data[at : at + len(bytes_)] = bytes_
    path.write_bytes(data[: int(cut * len(data))])
    with suppress(InvalidError):
        found = probe(path, form=name.replace("aif", "aiff")[2:], master=tmp_path / "m", preview=tmp_path / "p")
        assert found.duration_ms >= 0
        assert all(0 <= peak <= 255 for peak in found.peaks)
        findings(found, expected_ms=2000)
