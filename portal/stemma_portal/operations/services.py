"""The only writers of snapshots and model releases."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import canonical, sha256
from stemma.proof.log import Receipt
from stemma.provenance.release import read_statement, statement_digest
from stemma.rights.consent import Family, Scope
from stemma.rights.facts import FACTS, SnapshotFacts
from stemma.rights.snapshot import Manifest, SnapshotRecording, snapshot_root
from stemma.storage import storage
from stemma_portal.core.db import lock, one_moment
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.fields import by_id
from stemma_portal.core.keys import keyring
from stemma_portal.core.publish import after_commit
from stemma_portal.core.services import Actor, audit, log_append
from stemma_portal.operations.diversity import snapshot_facts
from stemma_portal.operations.models import ModelRelease, Snapshot, SnapshotMember
from stemma_portal.operations.selectors import (
    consent_documents,
    draft,
    recordings_as_offered,
    stands_against,
    terms_in_force,
)
from stemma_portal.operations.tasks import snapshot_receipt_publish


def snapshot_create(
    *,
    name: str,
    include: Snapshot.Include,
    scopes: Collection[Scope],
    by: Actor | None,
    territory: str = "WORLD",
    family: Family = "symbolic",
    identifier: str | None = None,
) -> Snapshot:
    """Freeze the catalog: what every owner has granted (`eligible`), or everything (`all`).

    What is eligible is decided by the rules of the gate, and what a model of the family cannot learn from is
    counted and left out: who is in a snapshot shares in what its models earn.  The manifest and the receipts of its
    grants are in object storage before the snapshot exists; its own receipt follows at once.
    Raises `InvalidError` when nothing is left to freeze.
    """
    if not scopes:
        raise InvalidError("A snapshot without scopes is for nothing.", remedy="Name at least one scope.")
    if identifier and (known := Snapshot.objects.filter(id=identifier).first()):
        if (known.name, known.include, set(known.scopes), known.family) != (name, include, set(scopes), family):
            raise ConflictError(f"Snapshot {identifier} is another one.", remedy="Take a new identifier.")
        return known
    wanted = {"name": name, "scopes": tuple(sorted(set(scopes))), "territory": territory, "family": family}
    manifest, receipts, facts = _freeze(include, identifier or new_id(), **wanted)
    document, beside = canonical(manifest), canonical(facts)
    folder = f"snapshots/{manifest.id}/"
    storage().put(folder + "manifest.json", document, "application/json")
    storage().put_json(folder + "consent_receipts.json", receipts)
    storage().put(folder + FACTS, beside, "application/json")
    with transaction.atomic():
        moment = now()
        receipt = log_append(kind="snapshot", subject=manifest.id, document_digest=sha256(document), at=moment)
        snapshot = Snapshot.objects.create(
            id=manifest.id,
            name=name,
            include=include,
            root=manifest.root,
            recordings=len(manifest.recordings),
            scopes=list(manifest.scopes),
            territory=territory,
            family=family,
            covenant=manifest.covenant,
            manifest_key=folder + "manifest.json",
            receipt=receipt.model_dump(mode="json"),
            diversity=facts.diversity.model_dump(mode="json"),
            unreadable=facts.unreadable,
            facts_sha256=sha256(beside),
            created_at=moment,
            created_by=by.email if by else "",
        )
        SnapshotMember.objects.bulk_create(
            SnapshotMember(snapshot=snapshot, recording_id=r.recording) for r in manifest.recordings
        )
        audit(
            by=by,
            action="snapshot.create",
            subject=snapshot.id,
            include=str(include),
            recordings=snapshot.recordings,
            facts=snapshot.facts_sha256,
        )
        after_commit(snapshot_receipt_publish, snapshot.id)
    return snapshot


def _freeze(
    include: Snapshot.Include, identifier: str, **wanted: Any
) -> tuple[Manifest, dict[str, Any], SnapshotFacts]:
    """The manifest as of one moment, the receipts of its grants, and what is said beside it."""
    with one_moment():
        wanted["terms"] = terms_in_force()
        offered = recordings_as_offered(wanted["scopes"])
        if include == Snapshot.Include.ELIGIBLE:
            offenders = {offence.recording for offence in stands_against(draft(offered, **wanted))}
            offered = [recording for recording in offered if recording.recording not in offenders]
        unreadable = [recording for recording in offered if not recording.readable(wanted["family"])]
        offered = [recording for recording in offered if recording.readable(wanted["family"])]
        if unreadable and not offered:
            raise InvalidError(
                f"{wanted['family'].capitalize()} models cannot learn from any of the {len(unreadable)} recordings "
                "that may be used: none has a score.",
                remedy="Bring their scores, or take a snapshot for latent models.",
                code="nothing-readable",
            )
        if not offered:
            raise InvalidError(
                "No recording may be used for this."
                if include == Snapshot.Include.ELIGIBLE
                else "The catalog is empty.",
                remedy="Import recordings and ask their owners to consent first.",
                code="nothing-eligible",
            )
        ordered: list[SnapshotRecording] = sorted(offered, key=lambda r: r.recording)
        manifest = draft(
            ordered, identifier=identifier, root=snapshot_root(ordered), created_at=timestamp(now()), **wanted
        )
        return manifest, consent_documents(ordered)[1], snapshot_facts(manifest, unreadable=len(unreadable))


@transaction.atomic
def release_register(
    *, statement: str, run_id: str, metrics: dict[str, Any], by: Actor | None, name: str = "", version: str = ""
) -> ModelRelease:
    """Log a model release by the statement its maker signed; the same statement again changes nothing.

    Raises `ProofError` when the statement is not signed by a release key or speaks of another
    snapshot root than ours, `ConflictError` when the version is registered with another statement.
    """
    statement = statement.strip()
    said = read_statement(statement, keyring().jwks())
    if (name and name != said.name) or (version and version != said.version):
        raise InvalidError(
            f"The statement is of {said.id}, not of {name}/{version}.", remedy="Send the statement of this release."
        )
    lock(f"release:{said.id}")
    if known := ModelRelease.objects.filter(id=said.id).first():
        if known.statement != statement:
            raise ConflictError(f"{said.id} is registered already.", remedy="Publish changed weights as a new version.")
        return known
    snapshot = by_id(Snapshot.objects.all(), said.snapshot)
    if snapshot is None:
        raise NotFoundError(f"There is no snapshot {said.snapshot}.", remedy="Train on a snapshot of this portal.")
    if snapshot.root != said.snapshot_root:
        raise ProofError(
            f"The statement names root {said.snapshot_root} for snapshot {snapshot.id}, which has {snapshot.root}.",
            remedy="Fetch the snapshot again and train on it unchanged.",
            code="snapshot-root",
        )
    moment = now()
    receipt = log_append(kind="release", subject=said.id, document_digest=statement_digest(statement), at=moment)
    release = ModelRelease.objects.create(
        id=said.id,
        name=said.name,
        version=said.version,
        run_id=run_id,
        snapshot=snapshot,
        statement=statement,
        receipt=receipt.model_dump(mode="json"),
        metrics=metrics,
        created_at=moment,
    )
    audit(by=by, action="release.register", subject=release.id, snapshot=snapshot.id, run_id=run_id)
    return release


def receipt_of(release: ModelRelease) -> Receipt:
    """The receipt that the log gave for a release."""
    return Receipt.model_validate(release.receipt)
