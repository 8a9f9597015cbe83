"""Snapshots and model releases."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Status

from stemma.errors import InvalidError
from stemma_portal.accounts.access import require_operator, require_staff
from stemma_portal.api.auth import caller
from stemma_portal.api.paging import MAX_LIMIT, page
from stemma_portal.api.schemas import (
    AbsenceOut,
    CarriedOut,
    CarrierOut,
    DownloadIn,
    DownloadOut,
    Downloads,
    HandedFile,
    HandedOut,
    LearnedOut,
    OwnerGrantOut,
    OwnShareOut,
    PieceOut,
    Pieces,
    ReleaseDetail,
    ReleaseFileOut,
    ReleaseIn,
    ReleaseOut,
    ReleaseRow,
    SnapshotIn,
    SnapshotOut,
    Snapshots,
    WithdrawalSaidOut,
)
from stemma_portal.catalog.access import access_own_recording, access_recording, is_theirs
from stemma_portal.catalog.rules import RuleError, check_text
from stemma_portal.operations.access import access_absence, access_release, access_snapshot, snapshots_visible
from stemma_portal.operations.carrying import Said, absence_proof, carried, certificates, pieces
from stemma_portal.operations.models import ModelRelease, Snapshot
from stemma_portal.operations.recomputation import own_recomputation
from stemma_portal.operations.selectors import releases
from stemma_portal.operations.services import release_register, snapshot_create
from stemma_portal.operations.weights import downloads_visible, files_of, stated, weights_hand_out

router = Router(tags=["operations"])


@router.post("snapshots", response={201: SnapshotOut})
def create_snapshot(request: HttpRequest, body: SnapshotIn) -> Status[SnapshotOut]:
    """Freeze what every owner has granted, or everything (which the gate will refuse)."""
    user = caller(request)
    require_staff(user, "take snapshots")
    snapshot = snapshot_create(
        name=body.name,
        include=Snapshot.Include(body.include),
        scopes=body.scopes,
        territory=body.territory,
        family=body.family,
        identifier=str(body.id) if body.id else None,
        by=user,
    )
    return Status(201, _snapshot(snapshot))


@router.get("snapshots", response=Snapshots)
def list_snapshots(
    request: HttpRequest, cursor: str | None = None, limit: int = Query(50, ge=1, le=MAX_LIMIT)
) -> Snapshots:
    """Snapshots that the caller may see, newest first."""
    rows, following = page(snapshots_visible(caller(request)), cursor=cursor, limit=limit, newest_first=True)
    return Snapshots(items=[_snapshot(row) for row in rows], next=following)


@router.get("snapshots/{snapshot}", response=SnapshotOut)
def show_snapshot(request: HttpRequest, snapshot: UUID) -> SnapshotOut:
    """One snapshot."""
    return _snapshot(access_snapshot(caller(request), str(snapshot)))


@router.post("releases", response={201: ReleaseOut})
def register_release(request: HttpRequest, body: ReleaseIn) -> Status[ReleaseOut]:
    """Log a model release by its signed statement."""
    user = caller(request)
    require_operator(user, "register model releases")
    try:
        check_text("metrics", body.metrics)
    except RuleError as error:
        raise InvalidError(f"{error.field}: {error.remedy}") from None
    release = release_register(
        name=body.name,
        version=body.version,
        statement=body.statement,
        run_id=body.run_id,
        metrics=body.metrics,
        by=user,
    )
    return Status(201, _release(release))


@router.get("releases", response=list[ReleaseRow])
def list_releases(request: HttpRequest) -> list[ReleaseRow]:
    """Model releases, newest first."""
    caller(request)
    return [
        ReleaseRow(id=row.id, snapshot=row.snapshot_id, state=row.state, created_at=row.created_at)
        for row in releases()[:1000]
    ]


@router.get("releases/{name}/{version}", response=ReleaseDetail)
def show_release(request: HttpRequest, name: str, version: str) -> ReleaseDetail:
    """One release with its signed statement and its files."""
    row = access_release(caller(request), f"{name}/{version}")
    return ReleaseDetail(
        **_release(row).model_dump(),
        state=row.state,
        statement=row.statement,
        covenant=stated(row).covenant,
        files=[ReleaseFileOut(**asdict(file)) for file in files_of(row)],
    )


@router.post("releases/{name}/{version}/downloads", response={201: HandedOut})
def hand_out_weights(request: HttpRequest, name: str, version: str, body: DownloadIn) -> Status[HandedOut]:
    """Short-lived addresses of a release's files; each file asked for is written down.

    Refused with `no-license` where no license of the caller covers open weights, and with `not-accepted` until an
    owner of the licensee has accepted the terms that its license holds.
    """
    user = caller(request)
    handed = weights_hand_out(
        release=access_release(user, f"{name}/{version}"),
        paths=body.files,
        license_id=str(body.license) if body.license else None,
        by=user,
    )
    files = [HandedFile(**asdict(file), url=url) for file, url in handed.files]
    out = HandedOut(release=f"{name}/{version}", license=handed.license.id, expires_at=handed.expires_at, files=files)
    return Status(201, out)


@router.get("weights-downloads", response=Downloads)
def list_downloads(
    request: HttpRequest, cursor: str | None = None, limit: int = Query(50, ge=1, le=MAX_LIMIT)
) -> Downloads:
    """Who was given which file of a release, newest first: to licensees their own, to staff all."""
    rows, following = page(downloads_visible(caller(request)), cursor=cursor, limit=limit, newest_first=True)
    return Downloads(
        items=[
            DownloadOut(
                id=row.id,
                release=row.release_id,
                file=row.file,
                license=row.license_id,
                organisation=row.license.organisation_id,
                covenant=row.covenant_id,
                by=row.by,
                at=row.at,
            )
            for row in rows
        ],
        next=following,
    )


@router.get("catalog/recordings/{recording}/carried", response=CarriedOut)
def show_carried(request: HttpRequest, recording: UUID) -> CarriedOut:
    """Which snapshots, models and pieces carry a recording, and where it is not."""
    found = access_recording(caller(request), str(recording))
    where = carried(found, owners=is_theirs(caller(request), found))
    return CarriedOut(
        recording=found.id,
        snapshots=[_carrier(row) for row in where.snapshots],
        snapshots_in_all=where.snapshots_in_all,
        releases=[
            LearnedOut(id=r.id, snapshot=r.snapshot_id, created_at=r.created_at, said=_said(said))
            for r, said in where.releases
        ],
        generations=where.generations,
        outputs=_said(where.outputs),
        grants=[
            OwnerGrantOut(
                party=each.party.id,
                name=each.party.name,
                covenant=each.covenant,
                withdrawn_at=each.withdrawn_at,
                prompting=each.prompting,
                prompting_ends=each.prompting_ends,
                earns=each.earns,
            )
            for each in where.grants
        ],
        withdrawn_at=where.withdrawn_at,
        without=[_carrier(row) for row in where.without],
        terms=where.terms,
    )


@router.get("catalog/recordings/{recording}/carried/pieces", response=Pieces)
def list_pieces(
    request: HttpRequest, recording: UUID, cursor: str | None = None, limit: int = Query(50, ge=1, le=MAX_LIMIT)
) -> Pieces:
    """Pieces whose attribution names a recording, each with the hash of its certificate, newest first."""
    found = access_own_recording(caller(request), str(recording))
    rows = pieces(found).select_related("generation__attribution")
    shares, following = page(rows, cursor=cursor, limit=limit, newest_first=True, by="pk")
    signed = certificates(shares)
    return Pieces(
        items=[
            PieceOut(
                made_at=share.generation.at,
                release=share.generation.model_release,
                ppb=share.ppb,
                certificate=one.sha256 if (one := signed.get(share.generation_id)) else None,
                log_index=one.entry.position if one else None,
                attribution=share.generation.attribution.pk if hasattr(share.generation, "attribution") else None,
            )
            for share in shares
        ],
        next=following,
    )


@router.get("catalog/recordings/{recording}/carried/pieces/{attribution}", response=OwnShareOut)
def show_own_share(request: HttpRequest, recording: UUID, attribution: UUID) -> dict[str, Any]:
    """What an owner of a recording needs to compute its share of one piece again, and nothing of anybody else's.

    `stemma attribution recompute ATTRIBUTION --inputs FILE` computes it.  The piece itself, its licensee, what was
    asked for and the other recordings are not told.
    """
    found = access_own_recording(caller(request), str(recording))
    return own_recomputation(recording=found, attribution_id=str(attribution))


@router.get("catalog/recordings/{recording}/absence/{snapshot}", response=AbsenceOut)
def show_absence(request: HttpRequest, recording: UUID, snapshot: UUID) -> Any:
    """The proof that a snapshot does not hold a recording; any snapshot can be asked.

    Refused with `present` where it does, and with `old-snapshot` for a form in which that cannot be proved.
    """
    return absence_proof(*access_absence(caller(request), str(recording), str(snapshot)))


def _said(found: list[Said]) -> list[WithdrawalSaidOut]:
    return [WithdrawalSaidOut(**asdict(each)) for each in found]


def _carrier(row: Snapshot) -> CarrierOut:
    return CarrierOut(id=row.id, name=row.name, created_at=row.created_at)


def _snapshot(row: Snapshot) -> SnapshotOut:
    return SnapshotOut(
        id=row.id,
        name=row.name,
        include=row.include,
        root=row.root,
        recordings=row.recordings,
        unreadable=row.unreadable,
        scopes=row.scopes,
        territory=row.territory,
        family=row.family,
        covenant=row.covenant,
        manifest=row.manifest_key,
        created_at=row.created_at,
        receipt=row.receipt,
    )


def _release(row: ModelRelease) -> ReleaseOut:
    return ReleaseOut(
        id=row.id,
        snapshot=row.snapshot_id,
        run_id=row.run_id,
        metrics=row.metrics,
        created_at=row.created_at,
        receipt=row.receipt,
    )
