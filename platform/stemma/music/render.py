"""Playing a MIDI file: sound with one stem per part, the same bytes for the same file.

Every part is played by itself by the same synthesizer, so that stems are exactly what the mix is
made of: mix = sum of stems, up to the rounding of 16 bits.  One gain, from the mix's loudness and
lowered for moments where its peaks are too high, goes to all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import symusic
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import minimum_filter1d

from stemma.errors import InvalidError
from stemma.music import audio, soundfont

RATE = audio.RATE
TARGET = -17.0
"""LUFS of the mix."""
CEILING = 10 ** (-1.0 / 20)
"""Largest sample: -1 dB of full scale, so that lossy copies do not clip either."""
TAIL = 2.0
"""Seconds after the last note in which it rings out."""
MAX_SECONDS = 1200.0
_BLOCK = 1 << 18
_DRUM_BANK = 128
_HOP = 256
"""Samples between the points of a gain curve."""
_REACH = 9
"""Points over which the gain gives way before and after a peak: 52 ms."""

Sound = NDArray[np.float32]
Gain = np.float32 | NDArray[np.float32]


@dataclass(frozen=True)
class Rendered:
    """A piece as sound."""

    samples: audio.Samples
    """The mix [n, 2]."""
    rate: int
    loudness: float
    """LUFS of the mix."""
    stems: dict[str, audio.Samples] = field(default_factory=dict)
    """Each part by its name, in the order of the score."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class _Voice:
    """What one part plays: times in samples, and how it is placed on the stage."""

    name: str
    program: int
    drums: bool
    events: list[tuple[int, int, int]]
    """(sample, pitch, velocity), velocity 0 for the end of a note; sorted."""
    pan: float
    """-1 left … 1 right."""


def render(midi: bytes, *, stems: bool = True) -> Rendered:
    """Play a MIDI file; without `stems` the mix alone, which is the same to the byte.

    Raises `InvalidError` for a file that cannot be read, has no notes or is absurdly long.
    """
    voices, length = _voices(midi)
    synth = _synthesizer(soundfont.find().path)
    wet = _Room()
    sounds: list[Sound] = []
    mix = np.zeros((length, 2), np.float32)
    send = np.zeros(length, np.float32)
    for voice in voices:
        dry = synth.play(voice, length)
        mix += dry
        send += dry[:, 0]
        send += dry[:, 1]
        if stems:
            sounds.append(dry)
    room = wet.answer(send)
    mix += room
    gain, level = _gain(mix)
    samples = _quantised(mix, gain)
    named: dict[str, audio.Samples] = {}
    for voice, dry in zip(voices, sounds, strict=False):
        named[voice.name] = _quantised(dry + wet.answer(dry[:, 0] + dry[:, 1]), gain)
    return Rendered(samples, RATE, level, named)


def _voices(midi: bytes) -> tuple[list[_Voice], int]:
    """What each part plays, and the length of the whole in samples."""
    try:
        score = symusic.Score.from_midi(midi).to("second")
    except (RuntimeError, ValueError, TypeError) as error:
        raise InvalidError(
            f"This is no readable MIDI file: {error}.", remedy="Give a Standard MIDI file.", code="unreadable-score"
        ) from error
    tracks = [track for track in score.tracks if len(track.notes)]
    if not tracks:
        raise InvalidError("This MIDI file has no notes.", remedy="Check the file.", code="empty-score")
    end = max(note.end for track in tracks for note in track.notes)
    if end > MAX_SECONDS:
        raise InvalidError(f"This piece lasts {end:.0f} s.", remedy=f"At most {MAX_SECONDS:.0f} s are rendered.")
    names = _names(tracks)
    voices = [
        _Voice(name, track.program, track.is_drum, _events(track.notes), pan)
        for name, track, pan in zip(names, tracks, _stage(len(tracks)), strict=True)
    ]
    return voices, round((end + TAIL) * RATE)


def _names(tracks: Sequence[Any]) -> list[str]:
    """A distinct name for each track."""
    names: list[str] = []
    for index, track in enumerate(tracks, start=1):
        name = track.name.strip() or f"Part {index}"
        names.append(name if name not in names else f"{name} {index}")
    return names


def _stage(parts: int) -> list[float]:
    """Places on the stage from left to right, never far out: a soloist in the middle, parts side by side."""
    if parts == 1:
        return [0.0]
    return [(2 * index / (parts - 1) - 1) * 0.45 for index in range(parts)]


def _events(notes: Any) -> list[tuple[int, int, int]]:
    """Note beginnings and ends; a repeated note is lifted just before it is struck again."""
    ordered = sorted(notes, key=lambda n: (n.time, n.pitch))
    again: dict[int, float] = {}
    events = []
    for note in reversed(ordered):
        following = again.get(note.pitch)
        end = note.end
        if following is not None and following - end < 0.03:
            end = max(note.start + (following - note.start) / 2, following - 0.03)
        again[note.pitch] = note.start
        events.append((round(end * RATE), note.pitch, 0))
        events.append((round(note.start * RATE), note.pitch, max(1, note.velocity)))
    return sorted(events)


class _Synthesizer:
    """One SoundFont in memory."""

    def __init__(self, path: Path) -> None:
        import tinysoundfont

        self._synth = tinysoundfont.Synth(samplerate=RATE)
        try:
            self._font = self._synth.sfload(str(path))
        except Exception as error:
            raise InvalidError(
                f"{path.name} is no readable SoundFont ({error}).", remedy="Name another with STEMMA_SOUNDFONT."
            ) from error

    def play(self, voice: _Voice, length: int) -> Sound:
        """One part from the first sample to the last [n, 2]."""
        synth = self._synth
        synth.sounds_off(0)
        synth.program_select(0, self._font, _DRUM_BANK if voice.drums else 0, voice.program, voice.drums)
        sound = np.zeros((length, 2), np.float32)
        view = sound.reshape(-1).data.cast("B")
        now = 0
        for sample, pitch, velocity in voice.events:
            if sample > now:
                synth.generate_simple(sample - now, view[now * 8 : sample * 8])
                now = sample
            if velocity:
                synth.noteon(0, pitch, velocity)
            else:
                synth.noteoff(0, pitch)
        if length > now:
            synth.generate_simple(length - now, view[now * 8 :])
        synth.sounds_off(0)
        if voice.pan:
            # Turning the stage by moving a little of one side to the other keeps recorded stereo images.
            left, right = min(1.0, 1 - voice.pan), min(1.0, 1 + voice.pan)
            sound *= np.array([left, right], np.float32)
        return sound


@lru_cache(maxsize=1)
def _synthesizer(path: Path) -> _Synthesizer:
    """The synthesizer of this process: loading takes a quarter of a second and 290 MB."""
    return _Synthesizer(path)


class _Room:
    """A small hall: linear, so that the stems' answers add up to the mix's.

    Decaying noise from a fixed seed, its treble dying sooner than its bass, 18 ms after the sound.
    """

    SECONDS = 1.1
    LEVEL = 0.055

    def __init__(self) -> None:
        self.spectra = _room_spectra()

    def answer(self, send: NDArray[np.float32]) -> Sound:
        """What the room adds to a mono sound."""
        step = _BLOCK - int(self.SECONDS * RATE)
        answer = np.zeros((2, len(send) + _BLOCK), np.float32)
        for start in range(0, len(send), step):
            piece = fft.rfft(send[start : start + step], _BLOCK)
            for side in (0, 1):
                answer[side, start : start + _BLOCK] += fft.irfft(piece * self.spectra[side], _BLOCK)
        return answer[:, : len(send)].T


@lru_cache(maxsize=1)
def _room_spectra() -> NDArray[np.complex64]:
    """Frequency response of the room, left and right."""
    n = int(_Room.SECONDS * RATE)
    time = np.arange(n) / RATE
    noise = np.random.Generator(np.random.PCG64(20)).standard_normal((2, n))
    spectrum = fft.rfft(noise, axis=1)
    frequency = fft.rfftfreq(n, 1 / RATE)
    low = fft.irfft(spectrum / (1 + (frequency / 2500) ** 2), n, axis=1)
    high = noise - low
    tail = low * 10 ** (-3 * time / 1.0) + high * 10 ** (-3 * time / 0.45)
    delay = int(0.018 * RATE)
    tail = np.concatenate([np.zeros((2, delay)), tail[:, : n - delay]], axis=1)
    tail *= _Room.LEVEL / np.sqrt((tail**2).sum(axis=1, keepdims=True))
    spectra: NDArray[np.complex64] = fft.rfft(tail.astype(np.float32), _BLOCK, axis=1)
    return spectra


def _gain(mix: Sound) -> tuple[Gain, float]:
    """The factor that brings the mix to its loudness, and the loudness then.

    Where the factor alone would clip, it is a curve that gives way in time.
    """
    level = audio.loudness(mix)
    if level <= audio.SILENCE:
        return np.float32(1.0), audio.SILENCE
    gain = np.float32(10 ** ((TARGET - level) / 20))
    if float(np.abs(mix).max()) * gain <= CEILING:
        return gain, TARGET
    loudest = np.maximum.reduceat(np.abs(mix).max(axis=1), np.arange(0, len(mix), _HOP)) * gain
    allowed = np.minimum(1.0, CEILING / np.maximum(loudest, 1e-9))
    # Lowered over a wider window than it is smoothed over, so that the curve is below what is allowed everywhere.
    lowered = np.pad(minimum_filter1d(allowed, 2 * _REACH + 1), _REACH, mode="edge")
    window = np.hanning(2 * _REACH + 1)[1:-1]
    curve = np.convolve(lowered, window / window.sum(), "same")[_REACH:-_REACH]
    places = np.arange(len(curve)) * _HOP + _HOP / 2
    giving = (np.interp(np.arange(len(mix)), places, curve) * gain).astype(np.float32)[:, None]
    return giving, audio.loudness(mix * giving)


def _quantised(sound: Sound, gain: Gain) -> audio.Samples:
    scaled: Sound = np.rint(sound * (gain * np.float32(32768)))
    return np.clip(scaled, -32767, 32767).astype(np.int16)
