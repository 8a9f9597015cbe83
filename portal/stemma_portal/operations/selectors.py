"""Reading snapshots and releases, and judging what a snapshot may hold."""

from collections.abc import Collection

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet

from stemma.ids import now, timestamp
from stemma.proof.canonical import digest
from stemma.rights.consent import Family, Scope
from stemma.rights.covenant import AnyCovenant
from stemma.rights.shares import Share as ShareDocument
from stemma.rights.snapshot import Manifest, Offence, SnapshotRecording, form_of, offences
from stemma.storage import storage
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.catalog.custody import kept_out
from stemma_portal.catalog.models import Recording, Share
from stemma_portal.consent.models import Consent, Reservation
from stemma_portal.consent.selectors import grants_of, rights_status
from stemma_portal.core.keys import keyring
from stemma_portal.core.selectors import covenant_in_force
from stemma_portal.licensing.models import CovenantVersion
from stemma_portal.operations.models import ModelRelease, Snapshot


def snapshots_visible(user: User) -> QuerySet[Snapshot]:
    """Staff see every snapshot; others meet them through the releases made from them."""
    return Snapshot.objects.all() if is_staff(user) else Snapshot.objects.exclude(releases=None).distinct()


def snapshots() -> QuerySet[Snapshot]:
    """All snapshots, newest first."""
    return Snapshot.objects.all()


def releases() -> QuerySet[ModelRelease]:
    """All model releases, newest first."""
    return ModelRelease.objects.select_related("snapshot")


def snapshot_offences(snapshot: Snapshot) -> list[Offence]:
    """What stands now against the recordings of a snapshot that was taken before."""
    return judge(manifest_of(snapshot))


def recordings_as_offered(scopes: Collection[Scope] = ()) -> list[SnapshotRecording]:
    """The whole catalog as snapshots for these uses would hold it, with every grant that was ever made for it.

    Each has its sound; not each has the score that models which write notes learn from.  What its custodian
    keeps out is not offered, whoever takes the snapshot.
    """
    shares = Prefetch("shares", Share.objects.order_by("party", "side", "territory"))
    complete = ~Q(audio_sha256="") & Q(duration_ms__isnull=False)
    for side in Share.Side:  # a right of which nobody is named yet cannot have been granted
        complete &= Q(Exists(Share.objects.filter(recording=OuterRef("pk"), side=side)))
    standing_for_all = Q(cluster=None) | Q(cluster__canonical=F("pk"))
    rows = (
        Recording.objects.filter(complete & standing_for_all, taken_down_at=None)
        .exclude(id__in=kept_out(scopes).values("id"))
        .select_related("work")
        .defer("peaks")
        .prefetch_related(shares)
        .order_by("id")
    )
    found = list(rows)
    grants = grants_of(recordings=[row.id for row in found])
    return [
        SnapshotRecording(
            recording=row.id,
            isrc=row.isrc,
            work=row.work_id,
            iswc=row.work.iswc,
            title=row.title,
            composer=row.work.composer,
            style=row.style,
            tempo=row.tempo,
            key=row.key,
            midi_sha256=row.midi_sha256,
            audio_sha256=row.audio_sha256,
            duration_ms=row.duration_ms,
            shares=tuple(
                ShareDocument(party=s.party_id, side=s.side, ppm=s.ppm, territory=s.territory)  # type: ignore[arg-type]
                for s in row.shares.all()
            ),
            consents=tuple(sorted(grants.get(row.id, ()))),
        )
        for row in found
    ]


def consent_documents(recordings: list[SnapshotRecording]) -> tuple[dict[str, str], dict[str, object]]:
    """The signed grants that the recordings name, and their receipts, both by identifier."""
    wanted = {consent for recording in recordings for consent in recording.consents}
    rows = Consent.objects.filter(id__in=wanted).order_by("id").values_list("id", "document", "receipt")
    return {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}


def judge(manifest: Manifest) -> list[Offence]:
    """Why recordings of a manifest may not be used now, by the same rules as the gate."""
    return offences(manifest, rights_status(), keyring().jwks(), timestamp(now()))


def stands_against(manifest: Manifest) -> list[Offence]:
    """Why recordings may not go into a new snapshot: what the gate would say, and reservations not yet settled.

    A reservation is no withdrawal: a snapshot that was taken before one was read stays as it is.
    """
    titles = {recording.recording: recording.title for recording in manifest.recordings}
    rows = Reservation.objects.unsettled().filter(recording__isnull=False, refused__overlap=list(manifest.scopes))
    found = judge(manifest)
    for recording, source, refused in rows.order_by("recording").values_list("recording_id", "source", "refused"):
        if recording in titles:
            names = ", ".join(sorted(set(refused).intersection(manifest.scopes)))
            found.append(
                Offence(
                    recording=recording,
                    title=titles[recording],
                    rule="reserved",
                    reason=f"Refused by {Reservation.Source(source).label}: {names}.",
                    remedy="Ask an owner to settle it on the page Reservations.",
                )
            )
    return found


def manifest_of(snapshot: Snapshot) -> Manifest:
    """The manifest as it lies in object storage."""
    return Manifest.model_validate_json(storage().get(snapshot.manifest_key))


def terms_in_force() -> AnyCovenant:
    """The covenant under which recordings are used now."""
    return CovenantVersion.objects.get(digest=covenant_in_force()).covenant()


def eligibility(*, scopes: tuple[Scope, ...], territory: str, family: Family = "symbolic") -> dict[str, list[Offence]]:
    """What stands now against each recording from which such a model can learn; an empty list: it may be used."""
    offered = [recording for recording in recordings_as_offered(scopes) if recording.readable(family)]
    manifest = draft(offered, name="draft", scopes=scopes, territory=territory, family=family, terms=terms_in_force())
    found: dict[str, list[Offence]] = {recording.recording: [] for recording in manifest.recordings}
    for offence in stands_against(manifest):
        found[offence.recording].append(offence)
    return found


def draft(
    recordings: list[SnapshotRecording],
    *,
    name: str,
    scopes: tuple[Scope, ...],
    territory: str,
    family: Family,
    terms: AnyCovenant,
    identifier: str = "",
    root: str = "0" * 64,
    created_at: str = "",
) -> Manifest:
    """A manifest over these recordings, with the grants that they name."""
    documents, _ = consent_documents(recordings)
    return Manifest(
        format=form_of(recordings),
        id=identifier,
        name=name,
        created_at=created_at,
        territory=territory,
        scopes=scopes,
        covenant=digest(terms),
        family=family,
        terms=terms,
        recordings=tuple(recordings),
        consents=documents,
        root=root,
    )
