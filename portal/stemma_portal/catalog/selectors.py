"""Reading the catalog."""

from collections.abc import Iterable

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.models import Likeness, Party, Recording, Release, Share


def recordings_visible(user: User) -> QuerySet[Recording]:
    """What the user may see: staff and licensees all, owners what they brought or have a share in."""
    found = Recording.objects.select_related("work")
    if is_staff(user) or user.memberships.filter(organisation__kind=Organisation.Kind.ENTERPRISE).exists():
        return found
    brought = Q(organisation__in=user.memberships.values("organisation"))
    return found.filter(brought | _owned_by(parties_of(user)))


def releases_visible(user: User) -> QuerySet[Release]:
    """Releases that the user's organisations brought, or that hold a recording they may see."""
    found = Release.objects.select_related("organisation")
    if is_staff(user) or user.memberships.filter(organisation__kind=Organisation.Kind.ENTERPRISE).exists():
        return found
    brought = Q(organisation__in=user.memberships.values("organisation"))
    shared = Share.objects.filter(party__in=parties_of(user)).values("recording__release")
    return found.filter(brought | Q(id__in=shared))


def releases_found(releases: QuerySet[Release], words: str) -> QuerySet[Release]:
    """Those with every word in their title or artist, or with this product code."""
    for word in words.split()[:8]:
        named = Q(title__icontains=word) | Q(artist__icontains=word)
        releases = releases.filter(named | Q(upc=word.replace("-", "")))
    return releases


def release_tracks(user: User, release: Release) -> QuerySet[Recording]:
    """The recordings of a release that the user may see, in its order."""
    seen = recordings_visible(user).filter(release=release).order_by("track", "title", "id")
    return seen.defer("source_license", "reservation")


def tracks_counted(releases: Iterable[Release]) -> dict[str, int]:
    """How many recordings each release has."""
    tracks = Recording.objects.filter(release__in=[each.id for each in releases])
    return dict(tracks.order_by().values_list("release").annotate(n=Count("id")))


def organisations_bringing() -> list[tuple[str, str]]:
    """Labels and artists by name: those who may have brought something."""
    kinds = (Organisation.Kind.LABEL, Organisation.Kind.ARTIST)
    return list(Organisation.objects.filter(kind__in=kinds).order_by("name").values_list("id", "name")[:1000])


def likenesses_visible(user: User) -> QuerySet[Likeness]:
    """Likely duplicates of which the user may see both."""
    found = Likeness.objects.select_related(
        *(f"{each}__{more}" for each in ("one", "other") for more in ("work", "release", "organisation", "cluster"))
    )
    if is_staff(user):
        return found
    seen = recordings_visible(user).values("id")
    return found.filter(one__in=seen, other__in=seen)


def parties_visible(user: User) -> QuerySet[Party]:
    """The rights-holders that the user may act for or, as staff, look after."""
    return Party.objects.all() if is_staff(user) else Party.objects.filter(id__in=parties_of(user))


def recordings_of_party(*, party_id: str) -> QuerySet[Recording]:
    """Recordings in which the party has a share."""
    return Recording.objects.filter(_owned_by([party_id]))


def _owned_by(parties: Iterable[str]) -> Exists:
    return Exists(Share.objects.filter(recording=OuterRef("pk"), party__in=list(parties)))
