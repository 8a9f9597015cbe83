"""The words of a release: its model card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stemma.catalog.origin import century_name, region_name
from stemma.rights.diversity import Facet
from stemma.rights.facts import SnapshotFacts
from stemma.rights.snapshot import Manifest


def model_card(
    facts: dict[str, Any], manifest: Manifest, name: str, version: str, beside: SnapshotFacts | None = None
) -> str:
    """README.md of a release, in the form of Hugging Face model cards, with the figures of its run."""
    figures = facts["figures"]
    styles = ", ".join(facts["styles"])
    energy = f", about {facts['energy_watt_hours']} Wh" if "energy_watt_hours" in facts else ""
    parties = len({share.party for recording in manifest.recordings for share in recording.shares})
    works = len({recording.work for recording in manifest.recordings})
    head = f"""---
license: other
license_name: stemma-covenant
license_link: LICENSE.md
library_name: stemma
pipeline_tag: text-to-audio
tags:
- music
- midi
- symbolic-music
- licensed-data
- attribution
extra_gated_prompt: Use of these weights is subject to the Stemma Covenant in LICENSE.md.
extra_gated_fields:
  Organisation: text
  I accept the covenant: checkbox
model-index:
- name: {name}
  results:
  - task:
      type: text-to-audio
      name: Symbolic music generation
    dataset:
      type: stemma-snapshot
      name: {manifest.name}
      revision: {manifest.root}
    metrics:
    - type: nats-per-note
      value: {figures["nats_per_note"]:.4f}
      name: Negative log likelihood of held-out works per note
    - type: decoded
      value: {figures["decoded"]:.4f}
      name: Share of generated pieces that decode
---
"""
    lines = [
        head,
        f"# {name} {version}",
        "",
        f"A decoder over the notes of scores, with {facts['parameters']:,} parameters, that writes music in the styles",
        f"{styles}.",
        "Every work it learned from was licensed for it by its owners, and every output can be traced back to the",
        "works that shaped it.",
        "",
        "## Use",
        "",
        "```python",
        "from pathlib import Path",
        "from stemma.models import load",
        "from stemma.models.protocol import GenerationRequest",
        "",
        'model = load(Path("."))',
        f'piece = model.generate(GenerationRequest(prompt="a lively {facts["styles"][0]}", bars=16, seed=1))',
        'Path("piece.mid").write_bytes(piece.midi)',
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
        f"{facts['steps']:,} steps in {facts['seconds']:,.0f} s at {facts['tokens_per_second']:,} tokens/s on",
        f"{facts['environment']['threads']} threads{energy}.",
        f"Code {facts['code_version']}, PyTorch {facts['environment']['torch']}. MLflow run `{facts['run_id']}`.",
        "",
        "## Evaluation",
        "",
        "| | this model | beside it |",
        "|---|---|---|",
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
        "",
        "## Limits",
        "",
        "It knows the styles above and no others, writes notes rather than sound, and its sense of form reaches",
        f"about {facts['preset']['context']} tokens.",
        "What a prompt says beyond style, key, tempo, length and mood has little effect.",
        "",
    ]
    return "\n".join(lines)


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
