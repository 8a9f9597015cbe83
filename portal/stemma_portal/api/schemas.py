"""What requests and answers of the API look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from stemma.proof.log import Listed, Receipt
from stemma.rights.consent import Condition, Family, GrantedRelease, Scope
from stemma.rights.entitlement import KEY_SCOPES, KeyScope


def _text(value: str) -> str:
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain characters that are no text (NUL, lone surrogates)")
    return value


def _email(value: str) -> str:
    try:
        validate_email(value)
    except ValidationError:
        raise ValueError("must be an e-mail address") from None
    return value


Text = Annotated[str, AfterValidator(_text)]
Email = Annotated[str, Field(max_length=254), AfterValidator(_email)]
Territory = Annotated[str, Field(pattern=r"^(WORLD|[A-Z]{2})$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ModelName = Annotated[Text, Field(min_length=1, max_length=200)]
Id = Annotated[str, Field(description="UUID in lower case")]


class Request(Schema):
    """A body from outside: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Page(Schema):
    """How far a list goes on."""

    next: str | None = None
    """Cursor of the next page; null at the end."""


class Import(Request):
    """Records of recordings, in the form of `stemma.catalog.record.RecordingRecord`."""

    records: list[Any] = Field(min_length=1, max_length=500)


class RecordingOut(Schema):
    """A recording as lists show it."""

    id: Id
    isrc: str
    title: str
    work: Id
    work_title: str
    composer: str
    style: str
    collection: str
    duration_ms: int | None
    source_free: bool


class Recordings(Page):
    """A page of recordings."""

    items: list[RecordingOut]


class GrantIn(Request):
    """What a party allows."""

    id: UUID | None = None
    """Made by the caller, so that sending it again grants nothing twice."""
    party: UUID
    recordings: Annotated[list[UUID], Field(max_length=100_000)] | Literal["all"] = Field(default_factory=list)
    """Left out where `releases` are named: all of their tracks that the party may grant."""
    releases: Annotated[list[UUID], Field(max_length=1000)] = Field(default_factory=list)
    """Releases that the grant names with title and code, beside their tracks among the recordings."""
    scopes: list[Scope] = Field(min_length=1)
    conditions: dict[Scope, Condition] = Field(default_factory=dict)
    """Scopes that are granted only under a condition."""
    territory: Territory = "WORLD"
    valid_until: AwareDatetime | None = None


class ConsentOut(Schema):
    """A signed grant and its receipt."""

    id: Id
    party: Id
    recordings: int
    releases: list[GrantedRelease]
    scopes: list[str]
    conditions: dict[str, Condition]
    territory: str
    granted_at: datetime
    valid_until: datetime | None
    document: str
    receipt: Receipt


class ConsentRow(Schema):
    """A grant as lists show it."""

    id: Id
    party: Id
    party_name: str
    recordings: int
    releases: list[GrantedRelease]
    scopes: list[str]
    conditions: dict[str, Condition]
    territory: str
    granted_at: datetime
    valid_until: datetime | None


class Consents(Page):
    """A page of grants."""

    items: list[ConsentRow]


class WithdrawalIn(Request):
    """Which part of a grant ends."""

    recording: UUID | None = None
    """Null: all of it."""


class WithdrawalOut(Schema):
    """A withdrawal and its receipt."""

    id: Id
    consent: Id
    recording: Id | None
    at: datetime
    receipt: Receipt


class Withdrawals(Page):
    """A page of withdrawals."""

    items: list[WithdrawalOut]


class ConsentProof(Schema):
    """What verifies a grant offline: `stemma verify FILE`, or docs/verifying.md by hand."""

    document: str
    """The signed grant (JWS)."""
    receipt: Receipt
    """That it stands in the log."""
    keys: dict[str, Any]
    """JWKS with which both verify."""


class WithdrawalProof(Schema):
    """What verifies a withdrawal offline."""

    withdrawal: dict[str, Any]
    """As it was logged."""
    receipt: Receipt
    keys: dict[str, Any]


class MissingOwnerOut(Schema):
    """An owner without whose yes recordings that a party has granted are not used."""

    party: Id
    name: str
    recordings: int
    """How many wait for this yes."""
    here: bool
    """Whether it has an organisation here, which is reminded; else it is invited."""
    invited: str | None
    """The address that was invited and has not answered yet."""


class MissingOwners(Schema):
    """Owners who have not agreed."""

    items: list[MissingOwnerOut]


class OwnerAskIn(Request):
    """How to ask an owner."""

    email: Email | None = None
    """Whom to invite for it; who is here is reminded, wherever this leads."""


class OwnerAskedOut(Schema):
    """How an owner was asked."""

    party: Id
    invited: str | None
    """The address that was invited; null: they are here, and were reminded."""


class ClaimIn(Request):
    """Somebody says that something is not right with a recording."""

    kind: Literal["authorship", "share", "same-identifier"] = "authorship"
    """Whose it is, how much of it is whose, or that two carry one identifier."""
    recording: UUID
    other: UUID | None = None
    """The second recording, for `same-identifier`."""
    side: Literal["master", "publishing"] | None = None
    ppm: int | None = Field(default=None, gt=0, le=1_000_000)
    """For `share`: how much of the right `side` the claimant says is its own in the whole world; both, or neither."""
    claimant: Text = Field(min_length=1, max_length=200)
    """A party's identifier, or a name that the catalog does not know."""
    reason: Text = Field(min_length=1, max_length=2000)


class ShareIn(Request):
    """What a party owns of one right."""

    party: UUID
    side: Literal["master", "publishing"]
    ppm: int = Field(gt=0, le=1_000_000)
    territory: Territory = "WORLD"


class Resolution(Request):
    """How a claim ended."""

    resolution: Text = Field(min_length=1, max_length=4000)
    """Why; both sides read it."""
    outcome: Literal["as-they-are", "shares", "taken-down", "same", "corrected", "explained"] | None = None
    """Left out: everything stays as it is, or a statement is explained."""
    shares: list[ShareIn] = Field(default=[], max_length=200)
    """All shares of the recording from now on, for `shares`."""
    down: UUID | None = None
    """The recording that leaves, for `taken-down`."""
    amount: int = Field(default=0, ge=0, le=10**15)
    """What the correction brings the party, in micro-units, for `corrected`."""


class MessageIn(Request):
    """Something to say in a case."""

    text: Text = Field(min_length=1, max_length=8000)
    answer: bool = False
    """Whether it is what your side has to say, when it is its turn."""


class ReasonIn(Request):
    """Why."""

    reason: Text = Field(min_length=1, max_length=4000)


class DeadlineIn(ReasonIn):
    """More time."""

    days: int = Field(ge=1, le=90)


class EvidenceIn(Request):
    """An address or words that speak for your side; files are brought on the page."""

    title: Text = Field(min_length=1, max_length=200)
    link: Text = Field(default="", max_length=500)
    text: Text = Field(default="", max_length=8000)


class EventOut(Schema):
    """Something said or done in a case."""

    id: Id
    at: datetime
    kind: str
    side: str
    speaker: str
    text: str
    before: str
    after: str


class EvidenceOut(Schema):
    """A file, an address or words that speak for one side."""

    id: Id
    at: datetime
    side: str
    speaker: str
    title: str
    text: str
    link: str
    name: str
    size: int
    sha256: str


class ClaimOut(Schema):
    """A claim."""

    id: Id
    recording: Id
    claimant: str
    reason: str
    kind: str
    other: Id | None
    state: str
    opened_at: datetime
    due_at: datetime | None
    """Until when the side whose turn it is has time."""
    due_side: str
    """`owners`, `claimant`, `staff`, or nothing once it is over."""
    resolved_at: datetime | None
    outcome: str
    resolution: str


class Claims(Schema):
    """A page of claims."""

    items: list[ClaimOut]
    next: str | None


class SnapshotIn(Request):
    """What to freeze."""

    id: UUID | None = None
    name: Text = Field(min_length=1, max_length=100)
    include: Literal["eligible", "all"] = "eligible"
    scopes: list[Scope] = Field(min_length=1)
    territory: Territory = "WORLD"
    family: Family = "symbolic"
    """The kind of model it is meant for; grants may be for some kinds only.  `symbolic` models learn from scores, so
    that recordings without one are left out; `latent` models learn from sound."""


class SnapshotOut(Schema):
    """A snapshot; its manifest lies in object storage."""

    id: Id
    name: str
    include: str
    root: str
    recordings: int
    unreadable: int
    """How many more were granted for it, from which no model of its family can learn: it holds none of them."""
    scopes: list[str]
    territory: str
    family: str
    covenant: str
    manifest: str
    created_at: datetime
    receipt: Receipt


class Snapshots(Page):
    """A page of snapshots."""

    items: list[SnapshotOut]


class AbsenceOut(Schema):
    """Proof that a snapshot does not hold a recording, and the keys with which it verifies offline."""

    absence: dict[str, Any]
    keys: dict[str, Any]


class CarrierOut(Schema):
    """A snapshot, by name."""

    id: Id
    name: str
    created_at: datetime


class WithdrawalSaidOut(Schema):
    """What a version of the covenant says happens when an owner withdraws."""

    covenant: str
    """Version."""
    under_it: int
    """How many licenses, or pieces, have it under this version."""
    text: str
    ends: bool
    """Whether it ends, with the withdrawal; else it stays."""


class OwnerGrantOut(Schema):
    """An owner's newest grant for a recording, and what the covenant it was given under says of the owner."""

    party: Id
    name: str
    covenant: str
    """Version."""
    withdrawn_at: datetime | None
    prompting: str
    prompting_ends: datetime | None
    """When style prompting ends; null while nothing was withdrawn."""
    earns: str


class PieceOut(Schema):
    """A piece whose attribution names a recording.  Whose it is, its licensee tells."""

    made_at: datetime
    release: str
    ppb: int
    """The recording's part, in parts per billion."""
    certificate: str | None
    """SHA-256 of its certificate; null for pieces of before there were any."""
    log_index: int | None
    """Place of that hash in the log."""
    attribution: Id | None
    """By which what the part is computed from is asked for."""


class Pieces(Page):
    """A page of pieces."""

    items: list[PieceOut]


class OwnShareOut(Schema):
    """What a recording's share of one piece is computed again from, with `stemma attribution recompute --inputs`."""

    format: str
    attribution: Id
    at: str
    model_release: str
    snapshot: str
    method: str
    store: str
    checkpoints: int
    lds: float | None
    lds_low: float | None
    lds_high: float | None
    recording: Id
    share: int
    """As it was stated, in parts per billion."""
    interval: tuple[int, int] | None
    commons: int
    others: int
    """Of all other recordings together: with the share and the commons it is a billion."""
    workings: dict[str, Any] | None
    """The recording's score, and the sums over all."""
    lacking: str
    """Why there are no workings, and what to do; else empty."""


class LearnedOut(Schema):
    """A model release, by the snapshot it learned from."""

    id: str
    snapshot: Id
    created_at: datetime
    said: list[WithdrawalSaidOut]
    """What becomes of its weights, for each version of the covenant under which they are licensed."""


class CarriedOut(Schema):
    """Where a recording is, where it is not, and what is said to happen to each."""

    recording: Id
    snapshots: list[CarrierOut]
    """Those that hold it, newest first, at most 50."""
    snapshots_in_all: int
    releases: list[LearnedOut]
    """Every model that learned from it."""
    generations: int
    """Pieces whose attribution names it: `…/carried/pieces` lists them."""
    outputs: list[WithdrawalSaidOut]
    """What becomes of them, for each version of the covenant under which they were made."""
    grants: list[OwnerGrantOut]
    """To owners and staff; none are shown to others, nor when they withdrew."""
    withdrawn_at: datetime | None
    """When the first owner withdrew whose yes is missing since: from then on what ends has ended."""
    without: list[CarrierOut]
    """Snapshots that do not hold it, newest first, at most 50: each can prove it."""
    terms: str
    """What the covenant in force says happens when an owner withdraws: it holds for what is granted now."""


class ReleaseIn(Request):
    """A model release, as its maker states it."""

    name: str = Field(max_length=64)
    version: str = Field(max_length=9)
    statement: Text = Field(max_length=4_000_000)
    metrics: dict[str, Any] = Field(default_factory=dict)
    run_id: Text = Field(default="", max_length=64)


class ReleaseOut(Schema):
    """A registered release and its receipt."""

    id: str
    snapshot: Id
    run_id: str
    metrics: dict[str, Any]
    created_at: datetime
    receipt: Receipt


class ReleaseFileOut(Schema):
    """A file of a release."""

    path: str
    sha256: str
    """By the signed statement; empty for the files that are made from it."""
    bytes: int | None
    """Null: object storage does not have it now."""


class ReleaseRow(Schema):
    """A registered release in a list."""

    id: str
    snapshot: Id
    state: str
    created_at: datetime


class ReleaseDetail(ReleaseOut):
    """A registered release, its signed statement and its files."""

    state: str
    statement: str
    """JWS of type `stemma-release+jws`; its hash is what the log holds."""
    covenant: str
    """SHA-256 of the terms under which it was released."""
    files: list[ReleaseFileOut]


class DownloadIn(Request):
    """Which files of a release are wanted, under which license."""

    license: UUID | None = None
    """Without it the newest that covers open weights and whose terms were accepted."""
    files: list[Text] | None = Field(default=None, min_length=1, max_length=10_000)
    """Paths; without it all."""


class HandedFile(ReleaseFileOut):
    """A file with the address from which it can be fetched, in parts too (`Range`)."""

    url: str


class HandedOut(Schema):
    """Addresses that begin a download until they expire."""

    release: str
    license: Id
    expires_at: datetime
    files: list[HandedFile]


class DownloadOut(Schema):
    """That somebody was given the address of a file."""

    id: Id
    release: str
    file: str
    license: Id
    organisation: Id
    covenant: str
    by: str
    at: datetime


class Downloads(Schema):
    """A page of downloads."""

    items: list[DownloadOut]
    next: str | None


class OrganisationOut(Schema):
    """An organisation."""

    id: Id
    name: str
    slug: str
    kind: str
    party: Id | None
    demo: bool


class LicenseIn(Request):
    """What to license to whom."""

    id: UUID | None = None
    organisation: Text = Field(max_length=100)
    """Identifier or short name (slug)."""
    tier: Text = Field(max_length=16)
    months: int = Field(ge=1, le=120)
    model_releases: list[ModelName] = Field(default=["*"], min_length=1, max_length=50)
    """What it covers: `*`, or names such as `house-symbolic/2` and, for all releases of a model, `house-symbolic/*`.

    Of these the license covers those that its tier may use.
    """


class KeyOut(Schema):
    """An API key, never its secret."""

    id: Id
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    scopes: list[KeyScope]
    replaces: Id | None
    """The key that it was made for by rotation."""
    last_used: datetime | None
    """When the latest piece was made with it; seconds behind."""


class LicenseOut(Schema):
    """A license and its keys."""

    id: Id
    organisation: Id
    tier: str
    covenant: str
    not_before: datetime
    expires_at: datetime
    state: str
    model_releases: list[str]
    """Model releases that it covers; `*` is all."""
    territories: list[str]
    """Countries in which its terms let the music be used; none named: the whole world."""
    keys: list[KeyOut]


Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of license terms")]


class CovenantIn(Request):
    """Terms to publish."""

    document: dict[str, Any]
    """In the form `stemma.covenant/2`."""


class CovenantRow(Schema):
    """A version of the terms as lists show it."""

    digest: str
    version: str
    title: str
    format: str
    published_at: datetime


class CovenantOut(CovenantRow):
    """A version of the terms, its document and its receipt from the log."""

    document: dict[str, Any]
    receipt: Receipt


class ClauseOut(Schema):
    """A sentence or two of the terms."""

    number: str
    section: str
    field: str
    text: str


class PointOut(Schema):
    """One thing that people want to know."""

    question: str
    answers: list[str]


class CovenantText(Schema):
    """The terms in words."""

    clauses: list[ClauseOut]
    summary: list[PointOut]
    markdown: str


class StepOut(Schema):
    """One dimension of two versions."""

    holder: str
    field: str
    title: str
    old: str
    new: str
    verdict: str


class ComparisonOut(Schema):
    """What one version is beside another."""

    verdict: str
    holders: dict[str, str]
    steps: list[StepOut]


class AcceptIn(Request):
    """A later version in place of the one that the license holds."""

    covenant: Hash
    replaces: Hash
    """The version that the caller knows the license to hold: if it has another by now, nothing is accepted."""


class KeyIn(Request):
    """A new key."""

    name: Text = Field(min_length=1, max_length=100)
    expires_at: AwareDatetime | None = None
    scopes: list[KeyScope] = Field(default=list(KEY_SCOPES), min_length=1, max_length=2)


class SeatIn(Request):
    """Whom to give a seat."""

    email: Email
    """Of a member of the licensee."""


class SeatOut(Schema):
    """That a person works under a license that counts its people."""

    id: Id
    email: str
    given_at: datetime
    given_by: str


class RotationIn(Request):
    """A key in the place of another."""

    overlap_hours: int = Field(default=24, ge=0, le=720)
    """For how long both hold."""


class BindingIn(Request):
    """The one machine or cluster where a license file holds."""

    kind: Literal["machine", "cluster"]
    sha256: Hash
    """As `stemma license machine` prints it there."""


class ReceiptKeyIn(Schema):
    """A public Ed25519 key (JWK, RFC 8037), as `stemma license receipts key` prints it."""

    model_config = ConfigDict(extra="ignore")

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]


class LicenseFileIn(Request):
    """A license file for machines without a connection."""

    binding: BindingIn | None = None
    receipt_keys: list[ReceiptKeyIn] = Field(default=[], max_length=100)
    """Of the machines that sign receipts of use."""
    model_releases: list[ModelName] = Field(default=[], max_length=100)
    """Some of those that the license covers; none: all of them."""


class LicenseFileOut(Schema):
    """A license file."""

    id: Id
    sequence: int
    """The newest file of a license has the highest number; it takes the place of the others."""
    created_at: datetime
    bound_to: str
    """`machine`, `cluster` or empty."""
    machines: list[str]
    """Receipt keys (`kid`) that it names."""
    text: str
    """The file as it is carried to the machine."""


class ReceiptsTaken(Schema):
    """What a medium brought."""

    machine: str
    """Its receipt key (`kid`)."""
    first: int
    last: int
    repeated: int
    """Receipts that were known already."""
    billable_ms: int
    outside_term: int
    """Uses before the license began or after it ended."""


class KeyMade(Schema):
    """A new key with its secret, which is shown this once."""

    id: Id
    key: str
    published: bool
    """Whether serving can know it already."""


class Head(Schema):
    """The signed head of the log."""

    head: str


class LogEntries(Schema):
    """Entries of the log, in its order."""

    entries: list[Listed]


class Consistency(Schema):
    """Proof that the log only grew."""

    first: int
    path: list[str]
    head: str


class JobOut(Schema):
    """Long work."""

    id: Id
    kind: str
    state: str
    progress: int
    total: int
    message: str
    log: str
    cancel_requested: bool


class WebhookIn(Request):
    """Where an organisation wants to be told."""

    organisation: UUID
    url: Annotated[Text, Field(max_length=500)]
    events: list[Annotated[Text, Field(max_length=64)]] = Field(default=[], max_length=50)
    """None: every kind."""


class WebhookChange(Request):
    """What is to be otherwise; the rest stays."""

    url: Annotated[Text, Field(max_length=500)] | None = None
    events: Annotated[list[Annotated[Text, Field(max_length=64)]], Field(max_length=50)] | None = None
    active: bool | None = None


class WebhookOut(Schema):
    """An endpoint."""

    id: Id
    organisation: Id
    url: str
    events: list[str]
    active: bool
    disabled_because: str
    public_keys: list[str]
    """Ed25519, newest first; two while keys are rotated."""
    created_at: datetime


class WebhookMade(WebhookOut):
    """An endpoint with its new symmetric secret, shown this once."""

    secret: str


class Webhooks(Page):
    """A page of endpoints."""

    items: list[WebhookOut]


class DeliveryOut(Schema):
    """How the telling of one event went."""

    id: Id
    event: Id
    type: str
    at: datetime
    state: str
    tries: int
    status: int | None
    told: str
    next_try_at: datetime | None


class Deliveries(Page):
    """A page of deliveries."""

    items: list[DeliveryOut]


UploadState = Literal["uploading", "checking", "waiting", "taken", "refused", "unpacked", "cancelled"]


class TagsIn(Request):
    """Whose waiting files become recordings."""

    organisation: UUID


class UploadIn(Request):
    """A file that is to be brought."""

    organisation: UUID
    name: Annotated[Text, Field(min_length=1, max_length=1000)]
    size: int = Field(gt=0, lt=2**53)
    """Bytes."""
    mark: Annotated[Text, Field(max_length=100)] = ""
    """By which the sender knows the file again, such as when it was changed last: with the same name, size and
    mark an upload that was begun is gone on with."""


class AddressesIn(Request):
    """Parts that are to be sent."""

    parts: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(min_length=1, max_length=100)


class AddressesOut(Schema):
    """Where each part is sent, by number."""

    addresses: dict[int, str]


class UploadAssignment(Request):
    """Which recording a file is."""

    recording: UUID


class FindingOut(Schema):
    """Something that a person should know of a file."""

    rule: str
    severity: Literal["error", "doubt", "note"]
    told: str
    remedy: str


class UploadOut(Schema):
    """A file on its way to a recording."""

    id: Id
    organisation: Id
    name: str
    size: int
    mark: str
    state: UploadState
    format: str
    """By its content: wav, flac, mp3, aiff, ogg, midi, musicxml or zip; empty until it was looked at."""
    recording: Id | None
    matched_by: str
    findings: list[FindingOut]
    message: str
    part_size: int
    """Bytes of every part but the last."""
    parts: int | None
    arrived: list[int] | None
    """Numbers of the parts that object storage has, while the file is uploading; in lists null."""
    created_at: datetime


class Uploads(Page):
    """A page of files."""

    items: list[UploadOut]


class CertificateOut(Schema):
    """The newest version of a certificate."""

    generation: Id
    version: int
    at: datetime
    licensee: Id
    license: Id
    sha256: str
    """Hash of the signed certificate: what the log holds."""
    pcm_sha256: str
    midi_sha256: str
    certificate: str
    """As JWS."""


class Certificates(Page):
    """Certificates, the newest sound first."""

    items: list[CertificateOut]


class LapseOut(Schema):
    """Why an indemnity does not hold, or on what it depends."""

    code: str
    text: str


class StandingOut(Schema):
    """How the indemnity behind a certificate stands."""

    state: Literal["holds", "conditional", "lapsed", "none"]
    said: str
    lapsed: list[LapseOut]
    depends: list[LapseOut]


class CertificateShown(CertificateOut):
    """A certificate with its place in the log and how its indemnity stands."""

    receipt: Receipt
    standing: StandingOut | None
    """Null where its covenant is not published here."""


class ContributionIn(Request):
    """What a person did."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    deed: Literal["written", "played", "arranged"]
    what: Annotated[Text, Field(max_length=500)] = ""


class AuthorshipIn(Request):
    """What people did, stated by the licensee."""

    contributions: list[ContributionIn] = Field(min_length=1, max_length=50)
    replaces: Hash
    """SHA-256 of the version that this one follows."""
