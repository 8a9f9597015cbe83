"""`stemma train`: a run on a snapshot, with a bar that tells how it fares."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from stemma.cli.bars import told
from stemma.errors import InvalidError
from stemma.training.gate import GateRefusal


def train(
    snapshot: Annotated[str, typer.Option(help="Identifier of the snapshot; a folder is never taken.")],
    preset: Annotated[str, typer.Option(help="tiny (a test), up (minutes), base (as long as quality needs).")] = "up",
    pipeline: Annotated[
        str | None,
        typer.Option(
            help="For a model that makes sound: the Stable Audio pipeline to begin with, a folder or a name on the hub."
        ),
    ] = None,
    on: Annotated[Literal["here", "cluster"], typer.Option(help="here, or cluster: as a job of Ray.")] = "here",
    namespace: Annotated[str, typer.Option(help="Where the installation on the cluster is.")] = "stemma",
    release: Annotated[str, typer.Option(help="Name of the installation on the cluster.")] = "stemma",
    cancel: Annotated[str, typer.Option(help="End this job on the cluster instead.")] = "",
) -> None:
    """Train a model on a snapshot, past the gate.  An interrupted run goes on where it stopped.

    It writes notes; with --pipeline it makes sound: the pipeline's autoencoder and text encoder are taken as they are,
    and a fresh denoiser of its shape learns from the snapshot's recordings.

    On a cluster the job also builds the release, publishes it, and builds its attribution store.
    """
    if on == "cluster":
        if pipeline is not None:
            raise InvalidError(
                "Jobs on a cluster train models that write notes.", remedy="Leave out --on cluster, or --pipeline."
            )
        _on_cluster(snapshot, preset, namespace, release, cancel)
        return
    from stemma.capacity.energy import watt_hours
    from stemma.training import run

    console = Console()
    try:
        with told("Training", console) as progress:
            outcome = run.train(snapshot, preset=preset, pipeline=pipeline, progress=progress, energy=watt_hours)
    except GateRefusal as refusal:
        console.print(offenders(refusal))
        raise
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    console.print(outcome.summary())
    console.print(f"Run {outcome.run_id} in {outcome.folder}")


def _on_cluster(snapshot: str, preset: str, namespace: str, release: str, cancel: str) -> None:
    from stemma.training import remote

    training = remote.training(release, namespace)
    if cancel:
        training.cancel(cancel)
        typer.echo(f"{cancel} is cancelled.")
        return
    job = training.submit(snapshot, preset)
    typer.echo(f"{job} is submitted. Follow it:  kubectl -n {namespace} logs -f job/{job}")
    typer.echo(f"Cancel it:  stemma train --snapshot {snapshot} --on cluster --namespace {namespace} "
               f"--release {release} --cancel {job}")  # fmt: skip


def offenders(refusal: GateRefusal) -> Table:
    """Every reason why the gate refused, with its remedy."""
    table = Table(title=f"Refused: {len(refusal.offences)} reasons", show_lines=False)
    for column in ("Recording", "Title", "Rule", "Why", "What to do"):
        table.add_column(column, overflow="fold")
    for o in refusal.offences:
        table.add_row(o.recording, o.title, o.rule, o.reason, o.remedy)
    return table
