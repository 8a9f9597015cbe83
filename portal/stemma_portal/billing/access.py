"""The only way to a quote, an order, an invoice or a declaration for a user."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import access_organisation, is_staff
from stemma_portal.accounts.models import User
from stemma_portal.billing.models import (
    CreditEntry,
    Deadline,
    Invoice,
    Order,
    Payment,
    Quote,
    Refund,
    RevenueDeclaration,
)
from stemma_portal.core.fields import by_id

Row = TypeVar("Row", Quote, Order, Invoice, RevenueDeclaration, CreditEntry)


def visible(user: User, kind: type[Row]) -> QuerySet[Row]:
    """Staff see every row, members those of their organisations."""
    rows = kind.objects.select_related("organisation")
    return rows if is_staff(user) else rows.filter(organisation__memberships__user=user).distinct()


def access(user: User, kind: type[Row], identifier: str, *, owner: bool = False) -> Row:
    """A row that the user may see; with `owner`, one of an organisation that they may act for."""
    found = by_id(visible(user, kind), identifier)
    if found is None:
        raise NotFoundError(f"There is no {_words(kind)} {identifier}.")
    if owner:
        access_organisation(user, found.organisation_id, owner=True)
    return found


def deadlines_visible(user: User) -> QuerySet[Deadline]:
    """Staff see every deadline, members those of their organisations' licenses."""
    rows = Deadline.objects.select_related("license__organisation", "covenant")
    return rows if is_staff(user) else rows.filter(license__organisation__memberships__user=user).distinct()


def access_deadline(user: User, identifier: str, *, owner: bool = False) -> Deadline:
    """A deadline of a license that the user may see; with `owner`, one that they may answer for."""
    found = by_id(deadlines_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no deadline {identifier}.")
    if owner:
        access_organisation(user, found.license.organisation_id, owner=True)
    return found


def access_payment(identifier: str) -> Payment:
    """A payment, for staff alone: whoever calls has asked for that."""
    found = by_id(Payment.objects.select_related("source"), identifier)
    if found is None:
        raise NotFoundError(f"There is no payment {identifier}.")
    return found


def access_refund(identifier: str) -> Refund:
    """A refund, for staff alone: whoever calls has asked for that."""
    found = by_id(Refund.objects.select_related("payment", "invoice__organisation"), identifier)
    if found is None:
        raise NotFoundError(f"There is no refund {identifier}.")
    return found


def _words(kind: type[Model]) -> str:
    return str(kind._meta.verbose_name)  # noqa: SLF001 - Django's documented way to a model's name
