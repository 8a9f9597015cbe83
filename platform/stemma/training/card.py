"""The words of a release: its model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stemma.catalog.origin import century_name, region_name
from stemma.rights.diversity import Facet
from stemma.rights.facts import SnapshotFacts
from stemma.rights.snapshot import Manifest


def model_card(
    facts: dict[str, Any], manifest: Manifest, name: str, version: str, beside: SnapshotFacts | None = None
) -> str:
    """README.md of a release, in the form of Hugging Face model cards, with the figures of its run."""
    own = _LATENT if facts["family"] == "latent" else _SYMBOLIC
    energy = f", about {facts['energy_watt_hours']} Wh" if "energy_watt_hours" in facts else ""
    parties = len({share.party for recording in manifest.recordings for share in recording.shares})
    works = len({recording.work for recording in manifest.recordings})
    metrics = "\n".join(
        f"    - type: {kind}\n      value: {facts['figures'][figure]:.4f}\n      name: {told}"
        for kind, figure, told in own.metrics
    )
    tags = "\n".join(f"- {tag}" for tag in ("music", *own.tags, "licensed-data", "attribution"))
    head = f"""---
license: other
license_name: stemma-covenant
license_link: LICENSE.md
library_name: stemma
pipeline_tag: text-to-audio
tags:
{tags}
extra_gated_prompt: Use of these weights is subject to the Stemma Covenant in LICENSE.md.
extra_gated_fields:
  Organisation: text
  I accept the covenant: checkbox
model-index:
- name: {name}
  results:
  - task:
      type: text-to-audio
      name: {own.task}
    dataset:
      type: stemma-snapshot
      name: {manifest.name}
      revision: {manifest.root}
    metrics:
{metrics}
---
"""
    lines = [
        head,
        f"# {name} {version}",
        "",
        *own.opening(facts),
        "",
        "## Use",
        "",
        "```python",
        *own.use(facts),
        "```",
        "",
        "## Training data",
        "",
        f"Snapshot *{manifest.name}* (`{manifest.id}`): {len(manifest.recordings)} recordings of {works} works by",
        f"{parties} parties, under {len(manifest.consents)} signed grants of {', '.join(manifest.scopes)}.",
        f"Its Merkle root is `{manifest.root}`; the manifest is in `manifest.json` and its receipt",
        "from the transparency log in `snapshot_receipt.json`.",
        f"{len(facts['held_out'])} recordings were held out for validation.",
        *_unreadable(beside),
        "",
        *_diversity(beside),
        "## Training",
        "",
        f"{facts['steps']:,} steps in {facts['seconds']:,.0f} s at {facts['tokens_per_second']:,} {own.places}/s on",
        f"{facts['environment']['threads']} threads{energy}.",
        f"Code {facts['code_version']}, PyTorch {facts['environment']['torch']}. MLflow run `{facts['run_id']}`.",
        "",
        "## Evaluation",
        "",
        "| | this model | beside it |",
        "|---|---|---|",
        *own.evaluation(facts["figures"]),
        "",
        "## Limits",
        "",
        *own.limits(facts),
        "",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Words:
    """What the card of a family says in words of its own."""

    task: str
    tags: tuple[str, ...]
    places: str
    """What a second of training is counted in."""
    metrics: tuple[tuple[str, str, str], ...]
    """Kind, figure and words of each metric in the head."""
    opening: Callable[[dict[str, Any]], list[str]]
    use: Callable[[dict[str, Any]], list[str]]
    evaluation: Callable[[dict[str, Any]], list[str]]
    """Rows of the table of three columns, and what follows it."""
    limits: Callable[[dict[str, Any]], list[str]]


_LICENSED = (
    "Every work it learned from was licensed for it by its owners, and every output can be traced back to the",
    "works that shaped it.",
)


def _symbolic_evaluation(figures: dict[str, Any]) -> list[str]:
    return [
        _row(
            "held-out works, nats per note",
            f"{figures['nats_per_note']:.3f}",
            f"{figures['baseline_nats_per_note']:.3f} by a 5-gram model of the same tokens",
        ),
        _row("generated pieces that decode", f"{figures['decoded']:.1%}", ""),
        _row(
            "longest run shared with a trained work, notes",
            f"{figures['longest_run']} (median {figures['typical_run']:g})",
            f"{figures['longest_run_real']} in held-out works",
        ),
        "",
        "Generated pieces beside the training works of their style (in brackets):",
        "",
        _row(
            "style",
            "notes in key",
            "moves by step",
            "consonant pairs",
            "voices",
            "ends on the tonic",
            "pitch profile, correlation",
            "rhythm, distance",
        ),
        _row(*["---"] * 8),
        *(_style(style, f) for style, f in figures["styles"].items()),
    ]


_SYMBOLIC = _Words(
    task="Symbolic music generation",
    tags=("midi", "symbolic-music"),
    places="tokens",
    metrics=(
        ("nats-per-note", "nats_per_note", "Negative log likelihood of held-out works per note"),
        ("decoded", "decoded", "Share of generated pieces that decode"),
    ),
    opening=lambda facts: [
        f"A decoder over the notes of scores, with {facts['parameters']:,} parameters, that writes music in the styles",
        f"{', '.join(facts['styles'])}.",
        *_LICENSED,
    ],
    use=lambda facts: [
        "from pathlib import Path",
        "from stemma.models import load",
        "from stemma.models.protocol import GenerationRequest",
        "",
        'model = load(Path("."))',
        f'piece = model.generate(GenerationRequest(prompt="a lively {facts["styles"][0]}", bars=16, seed=1))',
        'Path("piece.mid").write_bytes(piece.midi)',
    ],
    evaluation=_symbolic_evaluation,
    limits=lambda facts: [
        "It knows the styles above and no others, writes notes rather than sound, and its sense of form reaches",
        f"about {facts['preset']['context']} tokens.",
        "What a prompt says beyond style, key, tempo, length and mood has little effect.",
    ],
)


def _latent_evaluation(figures: dict[str, Any]) -> list[str]:
    return [
        _row(
            "held-out works, squared error of a latent",
            f"{figures['error']:.3f}",
            f"{figures['silent_error']:.3f} by a denoiser that puts out nothing",
        ),
        _row("works it learned from, squared error of a latent", f"{figures['error_trained']:.3f}", ""),
        _row("generated pieces that are to be heard", f"{figures['sounding']:.1%}", ""),
        _row("longest stretch shared with a recording", f"{figures['longest_echo_ms'] / 1000:.1f} s", ""),
    ]


_LATENT = _Words(
    task="Music generation by latent diffusion",
    tags=("audio", "latent-diffusion"),
    places="frames",
    metrics=(
        ("squared-error", "error", "Squared error of a latent of held-out works"),
        ("sounding", "sounding", "Share of generated pieces that are to be heard"),
    ),
    opening=lambda facts: [
        f"A denoiser of latents, with {facts['parameters']:,} parameters, that makes sound in the styles",
        f"{', '.join(facts['styles'])}.",
        *_LICENSED,
        "",
        f"Its autoencoder and its text encoder are those of `{facts['pipeline']['name']}` (SHA-256 of its parts",
        f"`{facts['pipeline']['sha256']}`) and stayed as they were: they say how sound and words become numbers,",
        "and what they learned from is not in the snapshot. Of that pipeline's denoiser only the shape was taken.",
    ],
    use=lambda facts: [
        "from pathlib import Path",
        "import soundfile",
        "from stemma.models import load",
        "from stemma.models.protocol import GenerationRequest",
        "",
        'model = load(Path("."))',
        f'piece = model.generate(GenerationRequest(prompt="{facts["styles"][0].replace("-", " ")}", seed=1))',
        'soundfile.write("piece.wav", piece.audio.T, 44_100)',
    ],
    evaluation=_latent_evaluation,
    limits=lambda _: [
        "It knows the styles above, and of a recording no words but its style's. It makes sound and no score.",
    ],
)


def _unreadable(beside: SnapshotFacts | None) -> list[str]:
    """How many recordings were granted and could not be learned from."""
    count = beside.unreadable if beside else 0
    return (
        [f"{count} more were granted, but have no score to learn from, and are not in the snapshot."] if count else []
    )


def _diversity(beside: SnapshotFacts | None) -> list[str]:
    """How diverse the training data is, and which communities are to be named."""
    if beside is None:
        return []
    found = beside.diversity
    lines = [
        "### Diversity",
        "",
        "The effective number of groups is exp H with Shannon's entropy H (Hill number of order 1): as many groups of",
        "equal size would be as diverse. What is unknown counts in none.",
        "",
        _row("by", "groups", "effective", "largest, of what is known", "unknown"),
        _row(*["---"] * 5),
        _facet("repertoire", found.repertoire, lambda code: code),
        _facet("region of origin", found.region, region_name),
        _facet("century of origin", found.period, century_name),
        "",
    ]
    if named := beside.credits:
        lines += [f"Communities that look after recordings in it and are to be named: {'; '.join(named)}.", ""]
    if unprompted := sum("no_style_prompting" in each.conditions for each in beside.custody):
        lines += [f"Recordings whose custodians allow no style prompting: {unprompted}.", ""]
    return lines


def _facet(name: str, facet: Facet, words: Callable[[str], str]) -> str:
    largest = f"{words(facet.groups[0][0])}, {facet.largest_ppm / 1e4:.1f} %" if facet.groups else "–"
    return _row(name, str(len(facet.groups)), f"{facet.effective:.1f}", largest, f"{facet.unknown_ppm / 1e4:.1f} %")


def _style(style: str, f: dict[str, Any]) -> str:
    pairs = ("in_key", "stepwise", "consonant")
    return _row(
        style,
        *(f"{f[name]:.2f} ({f[name + '_real']:.2f})" for name in pairs),
        f"{f['voices']:.1f} ({f['voices_real']:.1f})",
        f"{f['closes']:.2f} ({f['closes_real']:.2f})",
        f"{f['profile_likeness']:.2f}",
        f"{f['rhythm_distance']:.2f}",
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
