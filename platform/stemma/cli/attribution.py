"""`stemma attribution`: the stores from which outputs are traced back, and what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from stemma.cli.bars import told
from stemma.config import settings
from stemma.errors import InvalidError, ProofError, UnavailableError

if TYPE_CHECKING:
    from stemma.attribution.workings import OwnInputs
    from stemma.rights.shares import Share
    from stemma.rights.snapshot import SnapshotRecording

app = typer.Typer(help="Trace outputs back to the recordings that shaped them.", no_args_is_help=True)


class Form(StrEnum):
    """How influence is computed."""

    ekfac = "ekfac"
    dual = "dual"


@app.command()
def build(
    release: Annotated[str, typer.Argument(help="Model release, such as house-symbolic/1.")],
    form: Annotated[
        Form | None, typer.Option(help="ekfac (any size), or dual (exact, up to 20 000 recordings).")
    ] = None,
    checkpoints: Annotated[int | None, typer.Option(min=1, help="Checkpoints compared at most.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Tokens taken of a recording at most.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Directions kept on each side of a layer.")] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Coordinates kept: bytes of a recording and checkpoint.")
    ] = None,
    previous: Annotated[
        str | None,
        typer.Option(
            help="Release whose store is taken over as far as it fits; else this one's, or an earlier version's."
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that work side by side; else as processors and memory allow.")
    ] = None,
    ray: Annotated[
        bool, typer.Option("--ray", help="On the cluster of Ray that this belongs to, or that RAY_ADDRESS names.")
    ] = False,
) -> None:
    """Make the store of a release and publish it.  An interrupted build goes on where it stopped.

    What the release's store, or that of an earlier version of the model, holds at the same checkpoints is not
    computed again.  What is not said is as the documentation of attribution tells.
    """
    from stemma.attribution import on_ray, workers
    from stemma.attribution.manifest import MANIFEST, Plan, usual_plan
    from stemma.attribution.store import Contents, Store
    from stemma.storage import storage
    from stemma.training import release as releases

    if ray and processes:
        raise InvalidError("--processes are of this machine, --ray is for a cluster.", remedy="Give one of them.")
    console = Console()
    at_work = on_ray.cluster() if ray else workers.processes(processes or workers.room())
    with told("Attribution store", console) as progress, at_work as made_by:
        bundle = releases.fetch(release, settings().home / "releases" / release)
        said = {"form": form, "checkpoints": checkpoints, "tokens": tokens, "rank": rank, "keep": keep}
        usual = usual_plan(bundle).model_dump()
        plan = Plan.model_validate(usual | {name: value for name, value in said.items() if value is not None})
        out = settings().home / "stores" / release
        kept = settings().home / "stores" / "kept" / (previous or release)
        earlier = None
        if previous or not (out / MANIFEST).exists():
            earlier = Store.earlier(storage(), bundle, kept, plan=plan, named=previous)
        store = Store.build(
            bundle,
            out,
            Contents(bundle, storage()),
            progress=progress,
            plan=plan,
            workers=made_by,
            previous=earlier,
        )
        store.publish(storage())
    console.print(
        f"Store {store.version} of {release}: {len(store.rows)} recordings and {len(store.decoys)} decoys "
        f"at {store.checkpoints} checkpoints."
    )


@app.command()
def show(
    generation: Annotated[str, typer.Argument(help="Identifier of a generation.")],
    api_key: Annotated[str | None, typer.Option(help="A licensee's key; else STEMMA_API_KEY.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Recordings listed at most.")] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="Print the attribution fact as JSON.")] = False,
) -> None:
    """Tell which recordings shaped a generation."""
    from stemma.cli.generate import caller_key
    from stemma.client import Client

    fact = Client(settings().serving_url, api_key or caller_key()).attribution(generation)
    if fact is None:
        raise UnavailableError(
            "This generation is not attributed yet.", remedy="Ask again in a few seconds.", code="pending"
        )
    if as_json:
        typer.echo(json.dumps(fact, indent=2))
        return
    console = Console()
    recordings = _recordings(fact["snapshot"])
    console.print(_table(fact, {name: (r.title, r.composer) for name, r in recordings.items()}, top))
    console.print(_owners(fact, {name: r.shares for name, r in recordings.items()}, top))
    fidelity = (
        "not measured" if fact["lds"] is None else f"{fact['lds']:.2f} ({fact['lds_low']:.2f}…{fact['lds_high']:.2f})"
    )
    console.print(
        f"{fact['model_release']} · {fact['method']} · store {fact['store']} · {fact['checkpoints']} checkpoints "
        f"· fidelity (LDS) {fidelity}"
    )


@app.command()
def evaluate(
    release: Annotated[str, typer.Argument(help="Model release, such as house-symbolic/1.")],
    profile: Annotated[
        str,
        typer.Option(
            help="quick (some twenty minutes on 2 free cores; of a model that makes sound the size of its pipeline "
            "decides), or full (a night)."
        ),
    ] = "quick",
    processes: Annotated[int, typer.Option(min=1, help="Trainings side by side, one thread each.")] = 2,
) -> None:
    """Measure how much of attribution is true, by training again without.  Cut off, it goes on where it stopped.

    Of a model that makes sound a fresh denoiser of its shape is trained each time, with the release's autoencoder
    and text encoder.  The card goes to MLflow and object storage, and into the run that the release was made of: a
    release and a store built after it carry its figures.
    """
    from functools import cache

    import torch

    from stemma.models import family_of
    from stemma.models.content import content_key, source_of
    from stemma.rights.snapshot import Manifest
    from stemma.storage import storage
    from stemma.training import fidelity, profiles
    from stemma.training import release as releases
    from stemma.training.material import Material
    from stemma.training.study import Study

    console = Console()
    torch.set_num_threads(1)
    with told("Fidelity", console) as progress:
        bundle = releases.fetch(release, settings().home / "releases" / release)
        family = family_of(bundle)
        chosen = profiles.profile(profile, family)
        snapshot = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
        studies = settings().home / "studies"

        # Scores are small: each is fetched once.
        fetch = cache(storage().get) if source_of(family) == "score" else storage().get

        def read(recording: SnapshotRecording) -> bytes:
            return fetch(content_key(recording, source_of(family)))

        material: Material
        if family == "latent":
            from stemma.training.sounds import Sounds

            material = Sounds.open(chosen, snapshot.recordings, read, bundle, studies, progress=progress)
        else:
            from stemma.training.notes import Notes

            material = Notes.open(chosen, snapshot.recordings, read)
        study = Study.open(studies, material, read, progress=progress)
        card = fidelity.evaluate(study, processes=processes, progress=progress)
        run = fidelity.log(card, release)
    said = fidelity.words(card)
    made_by = json.loads((bundle / "stemma.json").read_text())["run_id"]
    for name, body in ((fidelity.CARD, json.dumps(card, indent=1)), (fidelity.WORDS, said)):
        storage().put(f"fidelity/{release}/{name}", body.encode())
        for outcome in (settings().home / "runs").glob("*/outcome.json"):
            if json.loads(outcome.read_text())["run_id"] == made_by:
                (outcome.parent / name).write_text(body)
    console.print(said)
    console.print(f"MLflow run {run}; figures in fidelity/{release}/ of object storage.")


@app.command()
def recompute(
    generation: Annotated[
        str, typer.Argument(help="Identifier of a generation; of an owner's inputs that of the attribution.")
    ],
    inputs: Annotated[
        Path | None, typer.Option(help="What the portal handed out for it; else the platform's own storage is read.")
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option(help="Folder with the files of the model release, for use with a licensee's --inputs."),
    ] = None,
) -> None:
    """Compute an attribution again from what is kept, and compare it with what was stated, to the ppb.

    With --inputs and --release on any machine, without the platform's storage.  What the portal handed to the owner
    of a recording needs no release: the share of that recording is computed from its score.
    """
    from stemma.attribution import recompute as again
    from stemma.attribution.store import Store
    from stemma.storage import storage
    from stemma.training import release as releases

    if inputs is not None and (own := again.own_inputs(inputs)) is not None:
        _recompute_own(generation, own)
        return
    if (inputs is None) != (release is None):
        raise InvalidError("--inputs and --release belong together.", remedy="Give both, or neither.")
    if inputs is not None and release is not None:
        given = again.Inputs.read(inputs)
        fact, example = given.fact, given.example
        if fact.get("generation") != generation:
            raise InvalidError(f"{inputs} is about generation {fact.get('generation')}.", remedy="Name that one.")
    else:
        given = None
        fact, example = again.fact_of(storage(), generation), again.example_of(storage(), generation)
    name = fact["model_release"]
    folder = settings().home / "stores" / "kept" / name / fact["store"]
    if given is not None and release is not None:
        given.fetch(folder)
        store = Store.load(folder, release)
    else:
        bundle = releases.fetch(name, settings().home / "releases" / name)
        store = Store.fetch(storage(), name, folder, bundle, version=fact["store"])
    found = again.recompute(example, fact, store)
    about = f"{len(found.stated)} shares of {generation} by store {store.version} of {name}"
    if not found.apart:
        Console().print(f"{about}: the same, to the last part per billion.")
    elif found.apart <= again.TOLERANCE:
        Console().print(f"{about}: within {found.apart} ppb, as machines of different kinds round.")
    else:
        raise ProofError(
            f"{about} differ by up to {found.apart} ppb from what was stated.",
            remedy="Compare the versions of Stemma and PyTorch; ask for a correction if they are the same.",
            code="attribution-differs",
        )


def _recompute_own(attribution: str, own: OwnInputs) -> None:
    from stemma.attribution.workings import APART
    from stemma.royalties.facts import PPB

    if own.attribution != attribution:
        raise InvalidError(f"These inputs are about attribution {own.attribution}.", remedy="Name that one.")
    apart = own.apart()
    about = f"{own.share} ppb of recording {own.recording} by store {own.store} of {own.model_release}"
    if apart > APART:
        raise ProofError(
            f"{about}: {apart} ppb from what its score gives.",
            remedy="Ask the house for a correction, with this file.",
            code="attribution-differs",
        )
    console = Console()
    console.print(f"{about}: the same, but for the remainders of rounding ({APART} ppb at most).")
    console.print(f"With {own.others} ppb of others and {own.commons} of the commons it is {PPB}.")
    console.print("The score is what the house says: computing that takes the output, which is its licensee's.")


def _recordings(snapshot: str) -> dict[str, SnapshotRecording]:
    """The snapshot's recordings by their names."""
    from stemma.rights.snapshot import Manifest
    from stemma.storage import storage

    manifest = Manifest.model_validate_json(storage().get(f"snapshots/{snapshot}/manifest.json"))
    return {r.recording: r for r in manifest.recordings}


def _table(fact: dict[str, Any], titles: dict[str, tuple[str, str]], top: int) -> Table:
    from stemma.attribution.ranked import ranked
    from stemma.royalties.facts import COMMONS, PPB

    found = ranked(fact["shares"], top)
    table = Table(title=f"Who shaped {fact['generation']}")
    between: dict[str, tuple[int, int]] = fact.get("intervals") or {}
    table.add_column("Share", justify="right")
    if between:
        table.add_column("Single checkpoints", justify="right")
    for column in ("Title", "Composer", "Recording"):
        table.add_column(column, overflow="fold")

    def row(name: str, ppb: int, *told: str) -> None:
        low, high = between.get(name, (0, 0))
        spread = [f"{low / PPB:.2%} to {high / PPB:.2%}" if name in between else ""] if between else []
        table.add_row(f"{ppb / PPB:.2%}", *spread, *told)

    for recording, ppb in found.top:
        title, composer = titles.get(recording, ("", ""))
        row(recording, ppb, title, composer, recording)
    if found.others:
        row("", found.rest, f"{found.others} more recordings", "", "")
    row(COMMONS, found.commons, "Commons: shared equally by all trained works", "", "")
    return table


def _owners(fact: dict[str, Any], owned: Mapping[str, Sequence[Share]], top: int) -> Table:
    from stemma.attribution.ranked import by_owner, ranked
    from stemma.royalties.facts import PPB

    found = ranked(by_owner(fact["shares"], owned), top)
    table = Table(title="By owner, the commons apart")
    table.add_column("Share", justify="right")
    table.add_column("Party", overflow="fold")
    for party, ppb in found.top:
        table.add_row(f"{ppb / PPB:.2%}", party)
    if found.others:
        table.add_row(f"{found.rest / PPB:.2%}", f"{found.others} more")
    return table
