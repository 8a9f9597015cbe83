"""What websites and files say of mining and training, and what owners say to that."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from stemma_portal.catalog.models import Party, Recording
from stemma_portal.core.fields import IdField


class ReservationRows(models.QuerySet["Reservation"]):
    """Reservations, by whether they still count."""

    def current(self) -> "ReservationRows":
        """The newest of each place."""
        return self.filter(superseded_by=None)

    def unsettled(self) -> "ReservationRows":
        """Those that refuse something, and to which no owner has said that a consent stands beside them."""
        return self.current().exclude(refused=[]).filter(settlement=None)


class Reservation(models.Model):
    """What was read in one place, or said by a rights-holder.  The database refuses to change or remove it.

    Another reading that differs is a new fact that supersedes this one.  One without `refused` says that
    nothing is reserved there any more.
    """

    class Source(models.TextChoices):
        TDMREP = "tdmrep", "tdmrep.json"
        HEADER = "header", "HTTP header or HTML"
        CAWG = "cawg", "Content credentials"
        ERN = "ern", "DDEX deals"
        STATEMENT = "statement", "Statement of a rights-holder"

    ON_SITES = (Source.TDMREP, Source.HEADER)

    id = IdField()
    source = models.CharField(max_length=10, choices=Source)
    organisation = models.ForeignKey(
        "accounts.Organisation", on_delete=models.PROTECT, null=True, blank=True, related_name="reservations"
    )
    """Whose website it was read on."""
    recording = models.ForeignKey(
        Recording, on_delete=models.PROTECT, null=True, blank=True, related_name="reservations"
    )
    party = models.ForeignKey(Party, on_delete=models.PROTECT, null=True, blank=True, related_name="reservations")
    """The rights-holder whose statement it is; it alone settles it."""
    place = models.CharField(max_length=300, blank=True)
    """Name of the domain, of the file or of the rights-holder."""
    uses = models.JSONField(default=dict)
    """By scope: `allowed`, `notAllowed` or `constrained`."""
    refused = ArrayField(models.CharField(max_length=40), default=list)
    """The scopes that it refuses, or allows on a condition only."""
    constraint = models.TextField(blank=True)
    policy = models.CharField(max_length=2048, blank=True)
    sha256 = models.CharField(max_length=64)
    """Of what was read."""
    text = models.CharField(max_length=4096, blank=True)
    """The beginning of it."""
    read_at = models.DateTimeField()
    read_by = models.CharField(max_length=254, blank=True)
    """Who asked for it or said it; empty: the portal by itself."""
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )

    objects = ReservationRows.as_manager()

    class Meta:
        ordering = ["-read_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording=None) ^ models.Q(organisation=None), name="reservation_of_one"
            )
        ]
        indexes = [
            models.Index(fields=["recording"], condition=~models.Q(refused=[]), name="reservation_refusing"),
        ]

    def __str__(self) -> str:
        return f"{self.source} of {self.place or self.recording_id}"


class Settlement(models.Model):
    """An owner's word that its consent stands beside a reservation.  Never changed or removed."""

    id = IdField()
    reservation = models.OneToOneField(Reservation, on_delete=models.PROTECT, related_name="settlement")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="settlements")
    reason = models.TextField()
    at = models.DateTimeField()
    signed_by = models.EmailField()

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.party_id} on {self.reservation_id}"


class DomainReading(models.Model):
    """When a domain was read last, and what came of it."""

    domain = models.OneToOneField("accounts.Domain", on_delete=models.CASCADE, primary_key=True, related_name="reading")
    at = models.DateTimeField()
    told = models.TextField(blank=True)
    """What could not be read, and why."""

    def __str__(self) -> str:
        return f"{self.domain} at {self.at}"
