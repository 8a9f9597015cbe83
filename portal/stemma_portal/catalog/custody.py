"""Custody: which community looks after a recording, under which terms, and what it answers.

Statements and answers are facts that are never changed; what is in force follows from them.  A statement
of rights staff holds unless its custodian declines it; one of whoever brought the recording waits for the
custodian's yes.  Of the statements about a recording the latest that holds is in force.  An agreement to
use is given to terms: new terms ask anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse

from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.catalog.models import Custody, CustodyAnswer, CustodyRecording, Party, Recording
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

Answer, Condition = CustodyAnswer.Answer, Custody.Condition
CUSTODY, USE = (Answer.ACCEPTED, Answer.DECLINED), (Answer.AGREED, Answer.TAKEN_BACK)
"""What is answered to the custody itself, and what to use in snapshots."""
CONDITIONS: dict[str, tuple[str, str]] = {
    Condition.ATTRIBUTION: ("Name the community", "Wherever the recording is credited, the community is named."),
    Condition.NO_STYLE_PROMPTING: ("No style prompting", "They are in no snapshot that is for style prompting."),
    Condition.ASK_FIRST: ("Ask first", "No new snapshot holds them unless the custodian agrees."),
}
"""Each typed condition in plain words."""
LONGEST = 4000


# Reading


def _latest(answers: Iterable[Answer], *, of_recording: bool = False) -> Subquery:
    """The last of these answers, for a row that names its `custody` (and its `recording`)."""
    rows = CustodyAnswer.objects.filter(custody=OuterRef("custody"), answer__in=list(answers))
    about = Q(recording=None) | Q(recording=OuterRef("recording")) if of_recording else Q(recording=None)
    return Subquery(rows.filter(about).order_by("-id").values("answer")[:1])


def in_force(recordings: Collection[str] | None = None) -> QuerySet[CustodyRecording]:
    """The statement in force about each recording that has a custodian."""
    rows = (
        CustodyRecording.objects.all()
        if recordings is None
        else CustodyRecording.objects.filter(recording__in=recordings)
    )
    holding = rows.alias(said=_latest(CUSTODY)).filter(Q(said=Answer.ACCEPTED) | Q(said=None, custody__by_staff=True))
    latest = holding.order_by("recording_id", "-number").distinct("recording_id").values("id")
    return CustodyRecording.objects.filter(id__in=latest, custody__ended=False)


def in_question() -> QuerySet[CustodyRecording]:
    """Statements that wait for their custodian's yes; a later one puts an earlier to rest."""
    later = CustodyRecording.objects.filter(recording=OuterRef("recording"), number__gt=OuterRef("number"))
    return CustodyRecording.objects.alias(said=_latest(CUSTODY)).filter(
        ~Exists(later), said=None, custody__by_staff=False
    )


def _agreed() -> Subquery:
    return _latest(USE, of_recording=True)


def _withheld(rows: QuerySet[CustodyRecording]) -> QuerySet[CustodyRecording]:
    """Those whose custodian is to be asked first, and has not agreed or not any more."""
    asked = rows.filter(custody__conditions__contains=[Condition.ASK_FIRST]).alias(agreed=_agreed())
    return asked.filter(Q(agreed=None) | Q(agreed=Answer.TAKEN_BACK))


def kept_out(scopes: Collection[str] = ()) -> QuerySet[Recording]:
    """Recordings that custody keeps out of a snapshot for these uses, with those that stand for the same music."""
    named = Q(id__in=_withheld(in_force()).values("recording"))
    if "style_prompting" in scopes:
        named |= _unprompted()
    return _with_twins(named)


def unprompted() -> QuerySet[Recording]:
    """Recordings whose custodian allows no style prompting, with those that stand for the same music."""
    return _with_twins(_unprompted())


def _unprompted() -> Q:
    rows = in_force().filter(custody__conditions__contains=[Condition.NO_STYLE_PROMPTING])
    return Q(id__in=rows.values("recording"))


def _with_twins(named: Q) -> QuerySet[Recording]:
    own = Recording.objects.filter(named).order_by()
    return Recording.objects.filter(named | Q(cluster__in=own.exclude(cluster=None).values("cluster"))).order_by()


@dataclass(frozen=True)
class Kept:
    """How a recording is looked after."""

    custody: Custody
    number: int
    agreed: bool
    """Whether the custodian's agreement to use stands."""

    @property
    def withheld(self) -> bool:
        """Whether it is in no new snapshot until the custodian agrees."""
        return Condition.ASK_FIRST in self.custody.conditions and not self.agreed

    @property
    def unprompted(self) -> bool:
        """Whether its style is not to be asked for."""
        return Condition.NO_STYLE_PROMPTING in self.custody.conditions

    @property
    def credited(self) -> bool:
        """Whether the community is named in credits."""
        return Condition.ATTRIBUTION in self.custody.conditions

    @property
    def told(self) -> list[tuple[str, str]]:
        """Its conditions in plain words."""
        return told(self.custody)


def told(custody: Custody) -> list[tuple[str, str]]:
    """The conditions of a statement in plain words."""
    return [CONDITIONS[name] for name in CONDITIONS if name in custody.conditions]


def kept(recordings: Iterable[str]) -> dict[str, Kept]:
    """Those of the recordings that somebody looks after, in one query."""
    rows = in_force(list(recordings)).annotate(agreed=_agreed()).select_related("custody__party")
    return {row.recording_id: Kept(row.custody, row.number, row.agreed == Answer.AGREED) for row in rows}


def history(recording: Recording) -> list[CustodyRecording]:
    """Every statement about a recording, the latest first."""
    return list(recording.custody_items.select_related("custody__party").order_by("-number"))


def recordings_kept(parties: Iterable[str]) -> QuerySet[Recording]:
    """What these parties look after, or are asked to."""
    own = list(parties)
    rows = (in_force().filter(custody__party__in=own), in_question().filter(custody__party__in=own))
    return Recording.objects.filter(Q(id__in=rows[0].values("recording")) | Q(id__in=rows[1].values("recording")))


def questions_of(parties: Iterable[str]) -> int:
    """How many statements wait for an answer of these parties: to the custody, or to a use."""
    own = list(parties)
    asked = in_question().filter(custody__party__in=own).values("custody")
    held = _withheld(in_force().filter(custody__party__in=own)).values("custody")
    return Custody.objects.filter(Q(id__in=asked) | Q(id__in=held)).count()


def counts(custodies: Iterable[Custody]) -> dict[str, int]:
    """How many recordings each statement names."""
    ids = [custody.id for custody in custodies]
    return dict(Custody.objects.filter(id__in=ids).order_by().values_list("id").annotate(count=Count("items")))


def states(custodies: Iterable[Custody]) -> dict[str, str]:
    """Of each statement: in force (for at least one recording), proposed, declined, or no longer in force."""
    ids = [custody.id for custody in custodies]
    force = set(in_force().filter(custody__in=ids).values_list("custody_id", flat=True))
    open_ = set(in_question().filter(custody__in=ids).values_list("custody_id", flat=True))
    answers = CustodyAnswer.objects.filter(custody__in=ids, answer__in=CUSTODY).order_by("id")
    said = dict(answers.values_list("custody_id", "answer"))
    found = {}
    for each in ids:
        if each in force:
            found[each] = "in-force"
        elif each in open_:
            found[each] = "proposed"
        else:
            found[each] = "declined" if said.get(each) == Answer.DECLINED else "earlier"
    return found


# Writing


@transaction.atomic
def custody_set(
    *,
    recordings: Collection[str],
    party: Party,
    terms: str,
    conditions: Collection[str],
    by: Actor | None,
    by_staff: bool,
    community: str = "",
    collection: str = "",
) -> Custody:
    """State who looks after recordings, and under which terms.

    Raises `InvalidError` for terms that say nothing or are too long, `ConflictError` where somebody else
    looks after one of the recordings and it is not staff that speaks.
    """
    terms, asked = terms.strip(), sorted(set(conditions))
    if unknown := sorted(set(asked) - set(CONDITIONS)):
        raise InvalidError(
            f"There is no condition {unknown[0]}.", remedy=f"Choose among {', '.join(CONDITIONS)}.", code="condition"
        )
    if not terms and not asked:
        raise InvalidError(
            "Custody without terms asks for nothing.", remedy="Write the terms, or choose a condition.", code="terms"
        )
    if len(terms) > LONGEST:
        raise InvalidError(
            f"The terms have {len(terms):,} characters.", remedy=f"Write at most {LONGEST:,}.", code="too-long"
        )
    lock("custody")
    if not by_staff and in_force(recordings).exclude(custody__party=party).exists():
        raise ConflictError(
            "Another community looks after some of these recordings.",
            remedy="Ask rights staff to change the custodian.",
        )
    return _state(
        recordings,
        Custody(
            party=party,
            community=community.strip() or party.name,
            terms=terms,
            conditions=asked,
            by_staff=by_staff,
            collection=collection,
        ),
        by,
    )


@transaction.atomic
def custody_end(*, custody: Custody, by: Actor | None, by_staff: bool) -> Custody:
    """State that the recordings of a statement have a custodian no more; of whoever is not staff, once it says yes."""
    lock("custody")
    recordings = in_force().filter(custody=custody).values_list("recording_id", flat=True)
    return _state(
        list(recordings),
        Custody(party=custody.party, community=custody.community, ended=True, by_staff=by_staff),
        by,
    )


def _state(recordings: Collection[str], custody: Custody, by: Actor | None) -> Custody:
    if not recordings:
        raise InvalidError(
            "No recording is named.", remedy="Choose recordings, a release or a collection.", code="none"
        )
    custody.at, custody.by = now(), by.email if by else ""
    custody.save(force_insert=True)
    numbers = dict(
        CustodyRecording.objects.filter(recording__in=recordings)
        .order_by()
        .values_list("recording")
        .annotate(last=Max("number"))
    )
    CustodyRecording.objects.bulk_create(
        (
            CustodyRecording(custody=custody, recording_id=each, number=numbers.get(each, 0) + 1)
            for each in sorted(set(recordings))
        ),
        batch_size=5000,
    )
    audit(
        by=by,
        action="custody.end" if custody.ended else "custody.state",
        subject=custody.id,
        party=custody.party_id,
        recordings=len(set(recordings)),
        conditions=custody.conditions,
        in_force=custody.by_staff,
    )
    _tell(custody, len(set(recordings)), by)
    return custody


def _tell(custody: Custody, count: int, by: Actor | None) -> None:
    """Let the custodian's people know what is stated of them, and what they are asked."""
    many = f"{count:,} recording{'' if count == 1 else 's'}"
    if custody.ended and custody.by_staff:
        title = "A custody of yours is over"
        text = f"{many} of {custody.community} have no custodian any more. Decline it if that is wrong."
    elif custody.ended:
        title = "A custody of yours is to end"
        text = f"{many} of {custody.community} would have no custodian any more."
    elif custody.by_staff:
        title = f"You look after {many} of {custody.community}"
        text = "Rights staff state so; it is in force unless you decline."
    else:
        title = f"You are asked to look after {many} of {custody.community}"
        text = "Read the terms. It holds once you accept."
    if Condition.ASK_FIRST in custody.conditions:
        text += " No new snapshot holds them until you also agree to that."
    notify(
        organisations=custody.party.organisations.all(), besides=by, topic=Topic.CONSENT, title=title, text=text,
        href=reverse("catalog:custody", args=[custody.id]), key=f"custody:{custody.id}",
    )  # fmt: skip


@transaction.atomic
def custody_answer(
    *, custody: Custody, answer: Answer, by: Actor, recording_id: str | None = None, note: str = ""
) -> CustodyAnswer:
    """What a custodian says to a statement: to the custody itself, or to use of its recordings or one of them.

    The same answer again changes nothing.  Raises `InvalidError` for an answer that was not asked for.
    """
    answer = Answer(answer)
    lock(f"custody:{custody.pk}")
    if answer in USE and Condition.ASK_FIRST not in custody.conditions:
        raise InvalidError(
            "These terms do not ask for an agreement.", remedy="Ask for terms that do.", code="not-asked"
        )
    if recording_id is not None:
        if answer in CUSTODY:
            raise InvalidError("Custody is accepted or declined as a whole.", code="whole")
        if not custody.items.filter(recording=recording_id).exists():
            raise InvalidError("The statement does not name this recording.", code="not-named")
    same = CUSTODY if answer in CUSTODY else USE
    said = custody.answers.filter(answer__in=same)
    # Word for the whole comes after any word for one recording, and changes those too.
    about = said.filter(Q(recording=recording_id) | Q(recording=None)) if recording_id else said
    last = about.first()
    if last is not None and last.answer == answer and last.recording_id in (None, recording_id):
        return last
    fact = CustodyAnswer.objects.create(
        custody=custody, recording_id=recording_id, answer=answer, note=note.strip()[:2000], at=now(), by=by.email
    )
    audit(
        by=by, action="custody.answer", subject=custody.id, answer=str(answer), recording=recording_id,
        party=custody.party_id,
    )  # fmt: skip
    return fact
