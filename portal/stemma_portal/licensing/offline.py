"""The only writers of license files and of the receipts that come back from where they are used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from stemma.errors import InvalidError, ProofError
from stemma.ids import named_id, new_id, now, timestamp
from stemma.proof.log import Receipt
from stemma.rights.model_names import covers
from stemma.rights.offline import Binding, OfflineLicense, issue, models_told, public_key
from stemma.royalties.facts import UsageFact, to_parquet, usage_table
from stemma.royalties.receipts import Line, following, read_batch, receipt_keys
from stemma.storage import storage
from stemma_portal.core.keys import keyring
from stemma_portal.core.services import Actor, audit
from stemma_portal.licensing.models import License, LicenseFile, OfflineReceipt, ReceiptChain
from stemma_portal.licensing.selectors import GENERATIONS, models_of, territories_of, tier_of

MAX_FILES = 500
MAX_MACHINES = 100
AHEAD = timedelta(days=1)
"""How far a machine's clock may be ahead of ours; later uses would fall into periods that are not there yet."""


@dataclass(frozen=True)
class Taken:
    """What a medium brought."""

    kid: str
    first: int
    last: int
    """Numbers of the receipts that were new."""
    repeated: int
    """Receipts that were known already, word for word."""
    billable_ms: int
    outside_term: int
    """Uses before the license began or after it ended; they are billed, and somebody should ask."""


@transaction.atomic
def license_file_issue(
    *,
    license_: License,
    by: Actor | None,
    binding: Binding | None = None,
    keys: Sequence[Mapping[str, Any]] = (),
    model_releases: Sequence[str] = (),
) -> LicenseFile:
    """A license as a file, which takes the place of the files before it.

    `model_releases` are some of those that the license covers; none: all of them.  Raises `InvalidError` for
    others, for a license that no longer holds or does not cover open weights, and for keys that are no public
    Ed25519 keys.
    """
    license_ = (
        License.objects.select_for_update(of=("self",)).select_related("organisation", "covenant").get(id=license_.id)
    )
    tier = tier_of(license_=license_)
    if license_.state != License.State.ACTIVE or license_.expires_at <= now():
        raise InvalidError(
            "This license is revoked or has expired.", remedy="Ask for a new license.", code="license-ended"
        )
    if "open_weights" not in tier.uses:
        raise InvalidError(
            f"The {tier.title} tier does not cover open weights.", remedy="Choose a tier that does.", code="not-covered"
        )
    covered = models_of(license_=license_, tier=tier)
    if stray := [name for name in model_releases if not covers(covered, name)]:
        raise InvalidError(
            f"This license covers {models_told(covered)}, not {models_told(stray)}.",
            remedy="Name some of those, or none for all of them.",
            code="model-not-licensed",
        )
    before = license_.files.first()
    if before is not None and before.sequence >= MAX_FILES:
        raise InvalidError(f"This license has {MAX_FILES} files already.", remedy="Ask for a new license.")
    if len(keys) > MAX_MACHINES:
        raise InvalidError(f"One file names at most {MAX_MACHINES} machines.", remedy="Bind it to a cluster instead.")
    try:
        public = tuple(public_key(key) for key in keys)
    except ValueError as error:
        raise InvalidError(
            f"Not every key given can sign receipts: {error}.",
            remedy="Give what `stemma license receipts key` prints.",
            code="bad-receipt-key",
        ) from error
    given = OfflineLicense(
        id=new_id(),
        license=license_.id,
        sequence=before.sequence + 1 if before else 1,
        supersedes=before.id if before else None,
        issued_at=timestamp(now()),
        licensee=license_.organisation_id,
        licensee_name=license_.organisation.name,
        tier=tier.name,
        uses=tier.uses,
        covenant=license_.covenant_id,
        model_releases=tuple(model_releases) or covered,
        models=covered,
        territories=territories_of(tier),
        not_before=timestamp(license_.not_before),
        expires_at=timestamp(license_.expires_at),
        indemnified=tier.indemnified,
        binding=binding,
        receipt_keys=public,
        receipt=Receipt.model_validate(license_.receipt) if license_.receipt else None,
    )
    file = LicenseFile.objects.create(
        id=given.id,
        license=license_,
        sequence=given.sequence,
        document=given.model_dump(mode="json"),
        text=issue(given, keyring()),
    )
    bound = f"{binding.kind} {binding.sha256}" if binding else ""
    machines = [key["kid"] for key in public]
    audit(by=by, action="license.file", subject=license_.id, sequence=given.sequence, bound_to=bound, machines=machines)
    return file


def receipts_take(*, license_: License, data: bytes, by: Actor | None) -> Taken:
    """Take the receipts on a medium into the usage facts, each once.

    Raises `InvalidError` or `ProofError` that says why none of them was taken: not signed so, replayed,
    with a gap before them, or of another chain than the one known.
    """
    try:
        return _take(license_=license_, data=data, by=by)
    except ProofError as error:
        # A chain that was changed is what an auditor looks for.
        audit(by=by, action="receipts.refused", subject=license_.id, code=error.code, reason=error.message)
        raise


@transaction.atomic
def _take(*, license_: License, data: bytes, by: Actor | None) -> Taken:
    # Whoever brings receipts of one license waits for whoever else does.
    license_ = License.objects.select_for_update(of=("self",)).get(id=license_.id)
    files = {file.sequence: file.offline() for file in license_.files.all()}
    batch = read_batch(data, license_.id, receipt_keys(files.values()))
    chain, _ = ReceiptChain.objects.get_or_create(license=license_, kid=batch.kid)
    fresh = following(batch, license_.id, chain.counter, chain.last, lambda first: _known(chain, first))
    facts = [_fact(line, files, batch.kid) for line in fresh]
    _refuse_known(license_, batch.kid, facts)
    OfflineReceipt.objects.bulk_create(
        OfflineReceipt(
            id=fact.id,
            chain=chain,
            counter=line.receipt.counter,
            sha256=line.sha256,
            at=datetime.fromisoformat(fact.at),
            billable_ms=fact.billable_ms,
        )
        for line, fact in zip(fresh, facts, strict=True)
    )
    chain.counter, chain.last = fresh[-1].receipt.counter, fresh[-1].sha256
    chain.save()
    found = Taken(
        kid=batch.kid,
        first=fresh[0].receipt.counter,
        last=fresh[-1].receipt.counter,
        repeated=len(batch.lines) - len(fresh),
        billable_ms=sum(fact.billable_ms for fact in facts),
        outside_term=sum(_outside(line, files) for line in fresh),
    )
    audit(
        by=by,
        action="receipts.take",
        subject=license_.id,
        machine=batch.kid,
        first=found.first,
        last=found.last,
        billable_ms=found.billable_ms,
        outside_term=found.outside_term,
    )
    _ship(facts, chain)
    return found


def _known(chain: ReceiptChain, first: int) -> dict[int, str]:
    return dict(chain.receipts.filter(counter__gte=first).values_list("counter", "sha256"))


def _fact(line: Line, files: Mapping[int, OfflineLicense], kid: str) -> UsageFact:
    receipt = line.receipt
    file = files.get(receipt.file)
    if file is None or all(key["kid"] != kid for key in file.receipt_keys):
        raise ProofError(
            f"Receipt {receipt.counter} names file {receipt.file}, which is not this machine's.", code="other-file"
        )
    if datetime.fromisoformat(receipt.use.at) > now() + AHEAD:
        raise InvalidError(
            f"Receipt {receipt.counter} is of {receipt.use.at}, which is still to come.",
            remedy="The clock of that machine is wrong.  Tell the licensor.",
            code="receipt-of-the-future",
        )
    return receipt.fact(file, kid)


def _outside(line: Line, files: Mapping[int, OfflineLicense]) -> bool:
    file = files[line.receipt.file]
    return not file.not_before <= line.receipt.use.at < file.expires_at


def _refuse_known(license_: License, kid: str, facts: Sequence[UsageFact]) -> None:
    """Of two facts with one identifier only the first is billed: nobody shall hide a use behind another."""
    names = [fact.id for fact in facts]
    made = License._meta.get_field(GENERATIONS).related_model.objects  # noqa: SLF001 - see `keys_used`
    # Facts of our own under this chain are there when an earlier try shipped them and then failed.
    others = made.filter(pk__in=names).exclude(license=license_.id, key=kid)
    if OfflineReceipt.objects.filter(pk__in=names).exists() or others.exists():
        raise ProofError("A generation in these receipts is known from elsewhere.", code="generation-twice")


def _ship(facts: Sequence[UsageFact], chain: ReceiptChain) -> None:
    """Put the facts into the lake, from where they are billed as all others are.

    The name of an object follows from the place of its facts in the chain: what is brought again after
    a failure lies there once.
    """
    days: dict[str, list[UsageFact]] = defaultdict(list)
    for fact in facts:
        days[fact.at[:10]].append(fact)
    for day, some in days.items():
        name = named_id("receipts", chain.license_id, chain.kid, chain.last, str(len(facts)), day)
        body = to_parquet(usage_table(some))
        storage().put_new(f"usage/day={day}/{name}.parquet", body, "application/vnd.apache.parquet")
