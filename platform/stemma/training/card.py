"""The words of a release: its model card and its license."""

from __future__ import annotations

from typing import Any

from stemma.rights.covenant import Covenant
from stemma.rights.snapshot import Manifest

_USES = {
    "api_outputs": "use what the API makes",
    "open_weights": "run the weights",
    "fine_tuning": "fine-tune the weights",
    "redistribution": "pass the weights on",
    "embedding": "build the model into products",
    "broadcast": "broadcast outputs",
}


def license_text(covenant: Covenant, digest: str) -> str:
    """The covenant as readable terms."""
    money = covenant.currency
    lines = [
        f"# {covenant.title} {covenant.version}",
        "",
        f"These terms are generated from the covenant with SHA-256 `{digest}`, which decides in case of doubt.",
        "",
        "## Who may do what",
        "",
    ]
    for tier in covenant.tiers:
        limit = "" if tier.revenue_limit is None else f" up to {money} {tier.revenue_limit:,} of yearly revenue"
        fee = "no monthly fee" if not tier.monthly_fee else f"{money} {tier.monthly_fee / 1e6:,.2f} a month"
        minute = "no fee for use" if not tier.minute_fee else f"{money} {tier.minute_fee / 1e6:,.4f} a generated minute"
        may = ", ".join(_USES[use] for use in tier.uses)
        covered = " Outputs are indemnified." if tier.indemnified else ""
        lines += [f"- **{tier.title}**{limit}: may {may}; {fee}, {minute}.{covered}"]
    return "\n".join(
        [
            *lines,
            "",
            "## What creators receive",
            "",
            f"{covenant.creators_ppm / 1e4:g} % of every revenue goes to creators. {covenant.training_ppm / 1e4:g} % of that "
            "is shared equally per trained work, the rest by attribution of outputs to works. Of each recording's money "
            f"{covenant.master_ppm / 1e4:g} % goes to the master side.",
            "",
            "## Notice",
            "",
            f"> {covenant.notice}",
            "",
            "## When an owner withdraws",
            "",
            covenant.on_withdrawal,
            "",
        ]
    )


def model_card(facts: dict[str, Any], manifest: Manifest, name: str, version: str) -> str:
    """README.md of a release, in the form of Hugging Face model cards, with the figures of its run."""
    figures = facts["figures"]
    styles = ", ".join(facts["styles"])
    seconds = facts["seconds"]
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
        f"A decoder over the notes of scores, with {facts['parameters']:,} parameters, that writes music in the styles "
        f"{styles}. Every work it learned from was licensed for it by its owners, and every output can be traced back "
        "to the works that shaped it.",
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
        f"Snapshot *{manifest.name}* (`{manifest.id}`): {len(manifest.recordings)} recordings of {works} works by "
        f"{parties} parties, under {len(manifest.consents)} signed grants of {', '.join(manifest.scopes)}. Its Merkle "
        f"root is `{manifest.root}`; the manifest is in `manifest.json` and its receipt from the transparency log in "
        f"`snapshot_receipt.json`. {len(facts['held_out'])} recordings were held out for validation.",
        "",
        "## Training",
        "",
        f"{facts['steps']:,} steps in {seconds:,.0f} s at {facts['tokens_per_second']:,} tokens/s on "
        f"{facts['environment']['threads']} threads{energy}. Code {facts['code_version']}, PyTorch "
        f"{facts['environment']['torch']}. MLflow run `{facts['run_id']}`.",
        "",
        "## Evaluation",
        "",
        "| | this model | beside it |",
        "|---|---|---|",
        f"| held-out works, nats per note | {figures['nats_per_note']:.3f} | {figures['baseline_nats_per_note']:.3f} by a "
        "5-gram model of the same tokens |",
        f"| generated pieces that decode | {figures['decoded']:.1%} | |",
        f"| longest run shared with a trained work, notes | {figures['longest_run']} (median {figures['typical_run']:g}) | "
        f"{figures['longest_run_real']} in held-out works |",
        "",
        "Generated pieces beside the training works of their style (in brackets):",
        "",
        "| style | notes in key | moves by step | consonant pairs | voices | ends on the tonic | pitch profile, correlation "
        "| rhythm, distance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for style, f in figures["styles"].items():
        lines.append(
            f"| {style} | {f['in_key']:.2f} ({f['in_key_real']:.2f}) | {f['stepwise']:.2f} ({f['stepwise_real']:.2f}) "
            f"| {f['consonant']:.2f} ({f['consonant_real']:.2f}) | {f['voices']:.1f} ({f['voices_real']:.1f}) "
            f"| {f['closes']:.2f} ({f['closes_real']:.2f}) | {f['profile_likeness']:.2f} | {f['rhythm_distance']:.2f} |"
        )
    lines += [
        "",
        "## Limits",
        "",
        "It knows the styles above and no others, writes notes rather than sound, and its sense of form reaches about "
        f"{facts['preset']['context']} tokens. What a prompt says beyond style, key, tempo, length and mood has little "
        "effect.",
        "",
    ]
    return "\n".join(lines)
