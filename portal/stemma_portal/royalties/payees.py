"""Where a party's money is to go: the only writer of payment details, and of what a currency is paid out from.

Details are sealed in the database and shown nowhere but for the last four characters of the account.  A
change is a new version; nothing is paid to it before `COOLING` has passed, and all owners are told of it at
once, so that whoever took over an account cannot also take the next payout.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from schwifty import BIC, IBAN
from schwifty.exceptions import SchwiftyException

from stemma.errors import InvalidError
from stemma.ids import now, timestamp
from stemma.rights.identifiers import iban as iban_check
from stemma_portal.accounts.access import require_operator
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.models import Party
from stemma_portal.core.db import lock
from stemma_portal.core.sealing import seal, unseal
from stemma_portal.core.services import Actor, audit
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.royalties.models import PaymentDetails, PayoutMinimum

COOLING = timedelta(days=7)
PURPOSE = "royalties.payment-details"


@dataclass(frozen=True, kw_only=True)
class Payee:
    """Whom to pay, where."""

    holder: str
    iban: str
    bic: str
    """Empty where neither the owner nor the bank registers name one."""
    address: str
    tax_country: str
    tax_number: str = ""


@transaction.atomic
def payment_details_set(*, party: Party, payee: Payee, by: Actor) -> PaymentDetails:
    """State where the party's money goes from now on; the same again changes nothing.

    Raises `InvalidError` for an IBAN or BIC that cannot be, or that do not belong together.
    """
    payee = payee_checked(payee)
    lock(f"payment-details:{party.pk}")
    last = PaymentDetails.objects.filter(party=party).order_by("-version").first()
    if last is not None and _opened(last) == payee:
        return last
    moment = now()
    details = PaymentDetails.objects.create(
        party=party,
        version=(last.version if last else 0) + 1,
        sealed=seal(PURPOSE, json.dumps(asdict(payee)).encode()),
        last4=payee.iban[-4:],
        country=payee.iban[:2],
        tax_country=payee.tax_country,
        at=moment,
        by=by.email,
        usable_from=moment + COOLING,
    )
    audit(
        by=by,
        action="payment-details.set",
        subject=party.pk,
        version=details.version,
        before=f"…{last.last4}" if last else None,
        after=f"…{details.last4}",
        usable_from=timestamp(details.usable_from),
    )
    _owners_told(details)
    return details


def _owners_told(details: PaymentDetails) -> None:
    """Tell every owner, whoever did it: it may have been somebody who took over an account."""
    notify(
        organisations=Organisation.objects.filter(party=details.party),
        topic=Topic.ACCOUNT,
        title=f"Payment details of {details.party.name} were changed",
        text=render_to_string("royalties/payment_notice.txt", {"details": details}),
        href=reverse("royalties:payment"),
        key=f"payment-details:{details.pk}",
    )


def payee_checked(payee: Payee) -> Payee:
    """The payee in its plain form, with the BIC that the IBAN's bank has where none is given."""
    iban = iban_check(payee.iban)
    bic = "".join(payee.bic.split()).upper()
    known = IBAN(iban).bic
    if bic:
        try:
            bic = str(BIC(bic))
        except SchwiftyException as error:
            raise InvalidError(
                f"{payee.bic!r} is not a BIC.", remedy="Leave it empty, or copy it from a statement.", code="bic"
            ) from error
        if bic[4:6] != iban[:2]:
            raise InvalidError(
                f"BIC {bic} is of a bank in {bic[4:6]}, the account is in {iban[:2]}.",
                remedy="Leave the BIC empty, or copy both from one statement.",
                code="bic",
            )
    holder = " ".join(payee.holder.split())
    if not holder:
        raise InvalidError("The account holder is missing.", remedy="Write the name as the bank has it.", code="holder")
    return Payee(
        holder=holder,
        iban=iban,
        bic=bic or (str(known) if known else ""),
        address=payee.address.strip(),
        tax_country=payee.tax_country,
        tax_number=payee.tax_number.strip(),
    )


def payment_details_open(*, details: PaymentDetails, by: Actor | None, purpose: str) -> Payee:
    """The details in the clear, for a payout; whoever opens them is written down."""
    audit(by=by, action="payment-details.open", subject=details.party_id, version=details.version, purpose=purpose)
    return _opened(details)


def payment_details_usable(*, party_id: str, at: datetime | None = None) -> PaymentDetails | None:
    """The newest details whose time to be noticed has passed: the ones a payout goes to."""
    found = PaymentDetails.objects.filter(party=party_id, usable_from__lte=at or now())
    return found.order_by("-version").first()


def payment_history(*, party_id: str) -> list[PaymentDetails]:
    """All versions, the newest first."""
    return list(PaymentDetails.objects.filter(party=party_id).order_by("-version"))


@transaction.atomic
def payout_minimum_set(*, currency: str, amount: int, by: User, valid_from: datetime | None = None) -> PayoutMinimum:
    """Say from which balance on a currency is paid out, from now or a later moment."""
    require_operator(by, "change what is paid out")
    moment = valid_from or now()
    if amount < 0 or moment < now() - timedelta(minutes=1):
        raise InvalidError("A minimum is not negative, and begins now or later.", code="payout-minimum")
    row = PayoutMinimum.objects.create(currency=currency, amount=amount, valid_from=moment, by=by.email)
    audit(by=by, action="payout-minimum.set", subject=currency, amount=str(amount), valid_from=timestamp(moment))
    return row


def payout_minimum(*, currency: str, at: datetime | None = None) -> int:
    """From which balance on the currency is paid out, in micro-units; 0 where nobody has said."""
    found = PayoutMinimum.objects.filter(currency=currency, valid_from__lte=at or now()).order_by("-valid_from").first()
    return found.amount if found else 0


def _opened(details: PaymentDetails) -> Payee:
    return Payee(**json.loads(unseal(PURPOSE, details.sealed)))
