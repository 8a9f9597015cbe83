"""Who may see money: a party its own, the house's staff everyone's, a licensee what it is billed."""

from django.db.models import QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.models import User
from stemma_portal.catalog.models import Party
from stemma_portal.core.fields import is_id
from stemma_portal.royalties.models import Period, Statement


def statements_access(*, user: User) -> QuerySet[Statement]:
    """The statements this user may see, the newest period first."""
    visible = Statement.objects.select_related("party", "period")
    return visible if is_staff(user) else visible.filter(party__in=parties_of(user))


def statement_access(*, user: User, statement_id: str) -> Statement:
    """One statement.  Raises `NotFoundError`, for somebody else's too."""
    found = statements_access(user=user).filter(pk=statement_id).first() if is_id(statement_id) else None
    if found is None:
        raise NotFoundError(f"There is no statement {statement_id} of yours.")
    return found


def party_access(*, user: User, party_id: str) -> Party:
    """A party whose money this user may see.  Raises `NotFoundError` for every other."""
    party = Party.objects.filter(pk=party_id).first() if is_id(party_id) else None
    if party is None or not (is_staff(user) or party.pk in parties_of(user)):
        raise NotFoundError(f"There is no party {party_id} of yours.")
    return party


def payment_access(*, user: User, party_id: str) -> Party:
    """A party whose payment details this user is shown: its own people alone, not even staff."""
    party = Party.objects.filter(pk=party_id).first() if is_id(party_id) else None
    if party is None or party.pk not in parties_of(user):
        raise NotFoundError(f"There is no party {party_id} of yours.")
    return party


def parties_access(*, user: User) -> QuerySet[Party]:
    """The parties whose money this user may see, by name."""
    return Party.objects.all() if is_staff(user) else Party.objects.filter(pk__in=parties_of(user))


def periods_access(*, user: User) -> QuerySet[Period]:
    """Periods the user may see, newest first: staff all, others the open one and those with a statement of theirs."""
    if is_staff(user):
        return Period.objects.all()
    own = Period.objects.filter(statements__party__in=parties_of(user))
    return (own | Period.objects.filter(state=Period.State.OPEN)).distinct()


def period_access(*, user: User, period_id: str) -> Period:
    """One period.  Raises `NotFoundError` where the user may see none of it."""
    try:
        return periods_access(user=user).get(pk=period_id)
    except Period.DoesNotExist as error:
        raise NotFoundError(f"There is no period {period_id}.", remedy="See the list of periods.") from error
