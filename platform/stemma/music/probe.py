"""What can be said of a sound before anybody listens.

Nothing here believes a name or a header.  Decoding is done by ffmpeg in a process of its own, with the
one demultiplexer that the content asks for, no network, and bounds on time, memory and output; what it
decodes is measured as it comes, so that an hour of sound takes no more memory than a minute.
"""

from __future__ import annotations

import math
import resource
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemma.errors import InvalidError, UnavailableError
from stemma.music.audio import SILENCE, Meter
from stemma.music.form import LOSSY, SOUNDS, Form, form_of

LONGEST = 4 * 3600
"""Seconds of sound in one file."""
PATIENCE = 900.0
"""Seconds that decoding may take."""
MEMORY = 2 * 1024**3
PARTS = 1000
"""Peaks of a waveform."""
HOP = 100
"""Looks at the level in a second."""
QUIET = 10 ** (-60 / 20)
FULL = 0.9999
"""Full scale, as 16 bits reach it on either side."""
FINGERPRINTED = 120
"""Seconds from the beginning that the fingerprint is taken of."""
CHUNK = 1 << 18


@dataclass(frozen=True)
class Probe:
    """A sound as it was decoded and measured."""

    format: Form
    rate: int
    """Samples a second."""
    channels: int
    """As the file has them; measured is their stereo mix where they are more than two."""
    bits: int
    """Bits of a sample; 16 for what was compressed with losses."""
    duration_ms: int
    """What was decoded."""
    declared_ms: int | None
    """What the header says; None where it says nothing."""
    loudness_lufs: float
    """Integrated, ITU-R BS.1770-4."""
    peak_db: float
    """Highest sample against full scale; -200 for digital silence."""
    clipped: int
    """Places where three samples on end stand at full scale."""
    silent_start_ms: int
    silent_end_ms: int
    silent_longest_ms: int
    """Longest stretch below -60 dBFS, wherever it is."""
    peaks: tuple[int, ...]
    """Of at most 1,000 equal parts, 0…255."""
    fingerprint: bytes
    """Chromaprint of the first two minutes: 32-bit words in network order."""
    damage: int
    """Complaints of the decoder."""

    def measures(self) -> dict[str, Any]:
        """Everything but the picture and the fingerprint, as plain values."""
        told = asdict(self)
        del told["peaks"], told["fingerprint"]
        return told | {"loudness_lufs": round(self.loudness_lufs, 2), "peak_db": round(self.peak_db, 2)}


class Finding(NamedTuple):
    """Something that a person should know of a sound."""

    rule: str
    severity: Literal["error", "doubt", "note"]
    """`error`: not to be used; `doubt`: somebody has to look; `note`: used as it is."""
    told: str
    remedy: str


# --- What is in it ----------------------------------------------------------------------------------


def probe(path: Path, *, form: Form | None = None, master: Path | None = None, preview: Path | None = None) -> Probe:
    """Decode a sound whole and measure it.

    `master` takes it as FLAC, the same bytes for the same samples whatever they came in; `preview` as
    MP3 of 128 kbit/s.  Raises `InvalidError` for what is no sound, cannot be decoded or is too long.
    """
    form = form or form_of(path)
    if form not in SOUNDS:
        raise InvalidError("This is no sound.", remedy="Bring WAV, FLAC, AIFF, MP3 or Ogg.", code="no-sound")
    declared = _declared(path, form)
    with tempfile.TemporaryDirectory() as folder:
        print_path = Path(folder) / "print"
        measured, damage = _decoded(path, form, _outputs(print_path, master, preview, declared.bits))
        fingerprint = np.frombuffer(_whole_words(print_path), dtype="<u4").astype(">u4").tobytes()
    if measured.samples >= LONGEST * measured.rate:
        raise InvalidError(
            f"The sound is longer than {LONGEST // 3600} hours.", remedy="Bring it in parts.", code="too-long"
        )
    return Probe(
        format=form,
        rate=measured.rate,
        channels=declared.channels or measured.channels,
        bits=declared.bits,
        duration_ms=round(1000 * measured.samples / measured.rate),
        declared_ms=declared.ms,
        fingerprint=fingerprint,
        damage=damage,
        **measured.told(),
    )


def fingerprint(samples: NDArray[np.int16], rate: int, *, seconds: int | None = FINGERPRINTED) -> bytes:
    """Chromaprint of a sound [n, channels], as `Probe.fingerprint`; empty for a sound too short to have one.

    Of the first `seconds`, as that of a `Probe`; None: of all of it.

    Raises `UnavailableError` when there is no ffmpeg or it does not end.
    """
    form = ["-f", "s16le", "-ar", str(rate), "-ac", str(samples.shape[1])]
    until = ["-t", str(seconds)] if seconds is not None else []
    wanted = [*until, "-f", "chromaprint", "-fp_format", "raw", "pipe:1"]
    command = [_ffmpeg(), "-nostdin", "-hide_banner", "-v", "error", "-threads", "1", *form, "-i", "pipe:0", *wanted]
    sound = samples[: seconds and seconds * rate].astype("<i2", copy=False).tobytes(order="C")
    try:
        done = subprocess.run(command, input=sound, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"No fingerprint can be taken: {error}.") from error
    return np.frombuffer(done.stdout[: len(done.stdout) // 4 * 4], dtype="<u4").astype(">u4").tobytes()


def _decoded(path: Path, form: Form, outputs: list[str]) -> tuple[_Measured, int]:
    """The measures of what ffmpeg decodes, and how often it complained."""
    process = _decoder(path, form, outputs)
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
    patience = threading.Timer(PATIENCE, process.kill)
    patience.start()
    complaints: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(process.stderr, complaints))
    reader.start()
    try:
        measured = _measure(process.stdout)
    finally:
        late = not patience.is_alive()
        patience.cancel()
        process.stdout.close()
        process.wait()
        reader.join()
        process.stderr.close()
    if late or process.returncode < 0:  # it was given no more time or memory
        raise InvalidError("The sound cannot be decoded within the bounds.", remedy="Export it anew.", code="too-slow")
    if measured is None or not measured.samples:
        told = next((line.decode(errors="replace").strip()[:120] for line in complaints), "nothing is in it")
        told = told.replace(str(path), "the file")
        raise InvalidError(f"The sound cannot be decoded: {told}.", remedy="Export it anew.", code="undecodable")
    return measured, len(complaints)


class _Declared(NamedTuple):
    ms: int | None
    channels: int
    bits: int


def _declared(path: Path, form: Form) -> _Declared:
    """What the header says.  A header that cannot be read says nothing: the decoder has the last word."""
    from mutagen import MutagenError
    from mutagen.aiff import AIFF
    from mutagen.flac import FLAC
    from mutagen.mp3 import MP3
    from mutagen.oggflac import OggFLAC
    from mutagen.oggopus import OggOpus
    from mutagen.oggvorbis import OggVorbis
    from mutagen.wave import WAVE

    kinds: dict[str, tuple[Any, ...]]
    kinds = {"wav": (WAVE,), "aiff": (AIFF,), "flac": (FLAC,), "mp3": (MP3,), "ogg": (OggVorbis, OggOpus, OggFLAC)}
    for kind in kinds[form]:
        try:
            info = kind(path).info
        except (MutagenError, ValueError, ZeroDivisionError, OverflowError, struct.error, EOFError):
            continue
        length = float(getattr(info, "length", 0) or 0)
        bits = 16 if form in LOSSY else int(getattr(info, "bits_per_sample", 16) or 16)
        return _Declared(
            round(1000 * length) if 0 < length < 1e7 else None, int(getattr(info, "channels", 0) or 0), min(bits, 64)
        )
    return _Declared(None, 0, 16)


def _outputs(print_path: Path, master: Path | None, preview: Path | None, bits: int) -> list[str]:
    """What ffmpeg makes of the first sound it finds, beside the samples on its standard output."""
    sound = ["-map", "0:a:0", "-map_metadata", "-1", "-t", str(LONGEST), "-af", "aformat=channel_layouts=mono|stereo"]
    exact = ["-fflags", "+bitexact", "-flags:a", "+bitexact"]
    found = [*sound, "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
    found += [*sound[:4], "-t", str(FINGERPRINTED), "-f", "chromaprint", "-fp_format", "raw", str(print_path)]
    if master:
        form = ["s32"] if bits > 16 else ["s16"]
        found += [
            *sound,
            "-c:a",
            "flac",
            "-compression_level",
            "5",
            "-frame_size",
            "4096",
            "-sample_fmt",
            *form,
            *exact,
        ]
        found += ["-f", "flac", str(master)]
    if preview:
        found += [*sound, "-c:a", "libmp3lame", "-b:a", "128k", "-ar", "44100", *exact, "-f", "mp3", str(preview)]
    return found


def _ffmpeg() -> str:
    from imageio_ffmpeg import get_ffmpeg_exe

    try:
        return str(get_ffmpeg_exe())
    except RuntimeError as error:
        raise UnavailableError("There is no ffmpeg.", remedy="Install the portal's requirements anew.") from error


def _decoder(path: Path, form: Form, outputs: list[str]) -> subprocess.Popen[bytes]:
    command = [
        _ffmpeg(),
        "-nostdin",
        "-y",
        "-hide_banner",
        "-v",
        "error",
        "-protocol_whitelist",
        "file,pipe",
        "-threads",
        "1",
    ]
    command += ["-f", form, "-i", f"file:{path}", *outputs]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # Set from outside: code between fork and exec is not safe in a process with threads.
    for bound, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, int(PATIENCE))):
        resource.prlimit(process.pid, bound, (most, most))
    return process


def _drain(stream: IO[bytes] | None, lines: list[bytes]) -> None:
    """Keep the first complaints, and read the others away."""
    for line in stream or ():
        if len(lines) < 100:
            lines.append(line)


def _whole_words(path: Path) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    return data[: len(data) // 4 * 4]


class _Measured:
    """Measures of a sound, gathered piece by piece."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels, self.samples = rate, channels, 0
        self._meter = Meter(rate, channels)
        self._hop = max(1, rate // HOP)
        self._levels: list[NDArray[np.float32]] = []
        self._rest = np.zeros(0, dtype=np.float32)
        self._last = np.zeros((2, channels), dtype=bool)
        self._clipped = 0

    def feed(self, samples: NDArray[np.float32]) -> None:
        self.samples += len(samples)
        self._meter.feed(samples.astype(np.float64))
        size = np.abs(samples)
        full = np.concatenate([self._last, size >= FULL])
        self._clipped += int(np.count_nonzero(full[2:] & full[1:-1] & full[:-2]))
        self._last = full[-2:]
        level = np.concatenate([self._rest, size.max(axis=1)])
        hops = len(level) // self._hop
        self._levels.append(level[: hops * self._hop].reshape(hops, self._hop).max(axis=1))
        self._rest = level[hops * self._hop :]

    def told(self) -> dict[str, Any]:
        levels = np.concatenate([*self._levels, [self._rest.max()]] if len(self._rest) else self._levels)
        top = float(levels.max())
        loud = np.flatnonzero(levels > QUIET)
        gaps = np.diff(np.concatenate(([-1], loud, [len(levels)]))) - 1
        ms = 1000 * self._hop / self.rate
        edges = np.linspace(0, len(levels), min(PARTS, len(levels)), endpoint=False).astype(np.int64)
        shape = np.clip(np.maximum.reduceat(levels, edges) * 255, 0, 255)
        return {
            "loudness_lufs": self._meter.lufs() if top > 0 else SILENCE,
            "peak_db": 20 * math.log10(top) if top > 0 else -200.0,
            "clipped": self._clipped,
            "silent_start_ms": round(float(gaps[0]) * ms),
            "silent_end_ms": round(float(gaps[-1]) * ms),
            "silent_longest_ms": round(float(gaps.max()) * ms),
            "peaks": tuple(int(value) for value in shape),
        }


def _measure(stream: IO[bytes]) -> _Measured | None:
    """Read samples as ffmpeg writes them: after the header of Sun's AU, six big-endian words."""
    head = stream.read(24)
    if len(head) < 24 or head[:4] != b".snd":
        return None
    offset, _, _, rate, channels = struct.unpack(">5I", head[4:])
    if not (0 < channels <= 2 and 1000 <= rate <= 768_000):
        return None
    stream.read(offset - 24)
    measured = _Measured(rate, channels)
    frame = 4 * channels
    while piece := stream.read(CHUNK * frame):
        samples = np.frombuffer(piece[: len(piece) // frame * frame], dtype=">f4").astype(np.float32)
        np.nan_to_num(samples, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
        if len(samples):
            measured.feed(samples.reshape(-1, channels))
    return measured


# --- What to say of it ------------------------------------------------------------------------------


def findings(measured: Probe, *, expected_ms: int | None = None) -> tuple[Finding, ...]:
    """What is wrong or odd about a sound; `expected_ms` is how long its metadata say that it is."""
    return tuple(_findings(measured, expected_ms))


def _findings(m: Probe, expected_ms: int | None) -> Iterator[Finding]:
    lossless = m.format not in LOSSY
    if m.loudness_lufs <= SILENCE:
        yield Finding("silent", "error", "Nothing is to be heard.", "Export it anew with sound.")
        return
    if m.declared_ms is not None and m.declared_ms - m.duration_ms > max(500, m.declared_ms // 100):
        yield Finding(
            "truncated",
            "error" if lossless else "doubt",
            f"The file says that it lasts {_clock(m.declared_ms)}, and ends after {_clock(m.duration_ms)}.",
            "It was cut off on its way: bring it again.",
        )
    elif m.damage:
        yield Finding(
            "damaged",
            "error" if lossless else "doubt",
            f"The decoder complains ({m.damage}{' or more' if m.damage >= 100 else ''} times).",
            "Export it anew, and bring it again.",
        )
    if expected_ms and abs(expected_ms - m.duration_ms) > max(3000, expected_ms // 50):
        yield Finding(
            "length",
            "doubt",
            f"The catalog says that the recording lasts {_clock(expected_ms)}; this lasts {_clock(m.duration_ms)}.",
            "Listen whether this is the recording that is meant.",
        )
    if m.clipped > 10:
        yield Finding("clipping", "note", f"Clipped in {m.clipped:,} places.", "A less loud master would be better.")
    if m.silent_start_ms > 3000:
        yield Finding("silent-start", "note", f"Begins with {_clock(m.silent_start_ms)} of silence.", "Cut it.")
    if m.silent_end_ms > 8000:
        yield Finding("silent-end", "note", f"Ends with {_clock(m.silent_end_ms)} of silence.", "Cut it.")
    if m.silent_longest_ms > max(15_000, m.silent_start_ms, m.silent_end_ms):
        yield Finding(
            "gap", "doubt", f"Is silent for {_clock(m.silent_longest_ms)} within.", "Listen whether a part is missing."
        )
    if m.loudness_lufs < -35:
        yield Finding("quiet", "note", f"Very quiet: {m.loudness_lufs:.1f} LUFS.", "Look whether the level is meant.")
    if m.rate < 44_100:
        yield Finding("rate", "note", f"{m.rate:,} samples a second.", "Bring at least 44,100 where you have them.")
    if not lossless:
        yield Finding("lossy", "note", "Compressed with losses.", "Bring WAV, FLAC or AIFF where you have it.")
    if m.channels > 2:
        yield Finding("channels", "note", f"{m.channels} channels, mixed to two.", "Bring a stereo master.")


def _clock(ms: int) -> str:
    seconds = round(ms / 1000)
    return f"{seconds // 60}:{seconds % 60:02d}"
