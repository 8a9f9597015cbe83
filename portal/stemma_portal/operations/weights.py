"""Weights of model releases: what a release consists of, what of it holds, and to whom it is handed out.

The only writer of downloads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from stemma.errors import InvalidError, NotFoundError, ProofError, UnavailableError
from stemma.ids import now
from stemma.proof.canonical import sha256
from stemma.proof.log import Receipt, check_receipt
from stemma.provenance.release import STATEMENT, UNSTATED, read_statement, statement_digest
from stemma.provenance.statement import ReleaseStatement
from stemma.storage import storage
from stemma_portal.accounts.access import is_staff
from stemma_portal.accounts.models import User
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.keys import keyring
from stemma_portal.core.services import audit
from stemma_portal.licensing.models import License
from stemma_portal.licensing.selectors import covenant_accepted, licenses_for
from stemma_portal.operations.models import ModelRelease, WeightsDownload

USE = "open_weights"
URL_SECONDS = 600
"""How long an address of a file begins a download; one that has begun goes on."""
NAMED = 100
"""How many files an entry of the audit trail names; the rows of downloads name all."""


@dataclass(frozen=True)
class ReleaseFile:
    """A file of a release."""

    path: str
    sha256: str
    """By the signed statement; empty for the files that are made from it."""
    bytes: int | None
    """None: object storage does not have it, or does not answer."""


@dataclass(frozen=True)
class Check:
    """Something about a release that holds or does not, looked at just now."""

    holds: bool
    said: str


@dataclass(frozen=True)
class Handed:
    """Addresses of files, and until when they begin a download."""

    license: License
    files: list[tuple[ReleaseFile, str]]
    expires_at: datetime


def stated(release: ModelRelease) -> ReleaseStatement:
    """What the signed statement says.  Raises `ProofError` when it does not hold any more."""
    return read_statement(release.statement, keyring().jwks())


def files_of(release: ModelRelease) -> list[ReleaseFile]:
    """The files that the statement names and those that are made from it, by path."""
    prefix = f"releases/{release.id}/"
    try:
        sizes = {key.removeprefix(prefix): size for key, size in storage().sizes(prefix)}
    except UnavailableError:
        sizes = {}
    known = {**stated(release).files, STATEMENT: sha256(release.statement.encode())}
    known |= {name: "" for name in sorted(UNSTATED - {STATEMENT}) if name in sizes}
    return [ReleaseFile(path, digest, sizes.get(path)) for path, digest in sorted(known.items())]


def checksums(release: ModelRelease) -> str:
    """The hashes that the statement states, as `sha256sum --check` reads them."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(stated(release).files.items()))


def checks(release: ModelRelease, files: Sequence[ReleaseFile]) -> list[Check]:
    """Signature, log proof and files of a release, verified now."""

    def looked(hold: Callable[[], object], yes: str) -> Check:
        try:
            hold()
        except ProofError as error:
            return Check(False, str(error))
        return Check(True, yes)

    def names_us() -> None:
        said = stated(release)
        if (said.id, said.snapshot, said.snapshot_root) != (release.id, release.snapshot_id, release.snapshot.root):
            raise ProofError("The statement is of another release or snapshot.", code="other-document")

    receipt = Receipt.model_validate(release.receipt)
    digest = statement_digest(release.statement)
    missing = [file.path for file in files if file.bytes is None]
    there = (
        f"All {len(files)} files are in storage." if not missing else f"Not in storage now: {', '.join(missing[:3])}"
    )
    return [
        looked(lambda: stated(release), "The statement is signed by a release key of this house."),
        looked(names_us, "It names this release, its snapshot and the snapshot’s root."),
        looked(
            lambda: check_receipt(receipt, keyring().jwks(), digest=digest),
            f"The log holds it as entry {receipt.index + 1}, under a signed head.",
        ),
        Check(bool(files) and not missing, there),
    ]


# Handing out.


def weights_licenses(user: User, release: str) -> list[tuple[License, bool]]:
    """The user's licenses that cover weights of a release, and whether the licensee itself accepted their terms."""
    return [(each, covenant_accepted(license_=each)) for each in licenses_for(user=user, use=USE, release=release)]


def weights_license(user: User, release: str, identifier: str | None = None) -> License:
    """The license by which a user may have weights of a release; with `identifier` this one and no other.

    Raises `ForbiddenError` with code `no-license` or `not-accepted`, and what to do.
    """
    found = weights_licenses(user, release)
    if identifier is not None:
        found = [(each, accepted) for each, accepted in found if each.id == identifier]
    if not found:
        raise ForbiddenError(
            f"No license of yours that holds now covers open weights of {release}.",
            remedy="Order a tier that does, under Billing; the Community tier is for small companies.",
            code="no-license",
        )
    for each, accepted in found:
        if accepted:
            return each
    license_ = found[0][0]
    raise ForbiddenError(
        f"Nobody has accepted version {license_.covenant.version} of the covenant for {license_.organisation.name}.",
        remedy=f"An owner accepts it on the page of the license, or with `stemma covenant accept {license_.id} "
        f"{license_.covenant.version}`.",
        code="not-accepted",
    )


def weights_hand_out(
    *, release: ModelRelease, by: User, paths: Sequence[str] | None = None, license_id: str | None = None
) -> Handed:
    """Short-lived addresses of a release's files, all of them unless some are named; each is written down.

    Raises `ForbiddenError` as `weights_license` does, `InvalidError` for a release that is retired, and
    `NotFoundError` for a file that it does not have.
    """
    license_ = weights_license(by, release.id, license_id)
    if release.state == ModelRelease.State.RETIRED:
        raise InvalidError(f"{release.id} is retired.", remedy="Take a later release.", code="retired")
    files = {file.path: file for file in files_of(release)}
    wanted = list(files) if paths is None else list(dict.fromkeys(paths))
    for path in wanted:
        if path not in files:
            raise NotFoundError(f"{release.id} has no file {path[:80]}.", remedy="Take one of its list.")
        if files[path].bytes is None:
            raise UnavailableError(f"Object storage does not have {path} now.", remedy="Try again in a minute.")
    moment = now()
    store = storage()
    handed = [
        (
            files[path],
            store.url(f"releases/{release.id}/{path}", seconds=URL_SECONDS, filename=path.rsplit("/", 1)[-1]),
        )
        for path in wanted
    ]
    with transaction.atomic():
        WeightsDownload.objects.bulk_create(
            WeightsDownload(
                release=release, file=path, license=license_, covenant=license_.covenant, by=by.email, at=moment
            )
            for path in wanted
        )
        audit(
            by=by,
            action="release.download",
            subject=release.id,
            license=license_.id,
            covenant=license_.covenant_id,
            files=wanted[:NAMED],
            count=len(wanted),
        )
    return Handed(license_, handed, moment + timedelta(seconds=URL_SECONDS))


def downloads_visible(user: User) -> QuerySet[WeightsDownload]:
    """Staff see every download, members those under licenses of their organisations."""
    rows = WeightsDownload.objects.select_related("release", "license__organisation", "covenant")
    return rows if is_staff(user) else rows.filter(license__organisation__memberships__user=user).distinct()
