"""Covenant versions, licenses and API keys; license files and the receipts that come back."""

from django.db import models

from stemma.proof.log import Receipt
from stemma.rights.covenant import AnyCovenant, read_covenant
from stemma.rights.entitlement import KEY_SCOPES
from stemma.rights.model_names import EVERY_MODEL
from stemma.rights.offline import OfflineLicense
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.core.fields import IdField


def key_scopes() -> list[str]:
    """What a key is for unless somebody says otherwise: everything."""
    return list(KEY_SCOPES)


def every_model() -> list[str]:
    """The model releases that a license is granted for unless somebody says otherwise: all."""
    return list(EVERY_MODEL)


class CovenantVersion(models.Model):
    """A version of the license terms, found by the hash of its document."""

    digest = models.CharField(max_length=64, primary_key=True)
    version = models.CharField(max_length=40, unique=True)
    document = models.JSONField()
    receipt = models.JSONField()
    published_at = models.DateTimeField()

    class Meta:
        ordering = ["-published_at"]

    def __str__(self) -> str:
        return self.version

    def covenant(self) -> AnyCovenant:
        """The terms."""
        return read_covenant(self.document)

    def position(self) -> int:
        """Its place in the log: what comes later is a later version."""
        return Receipt.model_validate(self.receipt).index


class License(models.Model):
    """What an organisation may do with the music, and for how long."""

    class State(models.TextChoices):
        ACTIVE = "active"
        REVOKED = "revoked"

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="licenses")
    tier = models.CharField(max_length=16)
    covenant = models.ForeignKey(CovenantVersion, on_delete=models.PROTECT, related_name="licenses")
    not_before = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    published = models.BooleanField(default=False)
    """Whether object storage holds the newest entitlement."""
    receipt = models.JSONField(null=True, blank=True)
    """Proof that the log holds its terms; none for licenses of before they were logged."""
    model_releases = models.JSONField(
        default=every_model, db_default=models.Value(list(EVERY_MODEL), models.JSONField())
    )
    """Those that it was granted for, as `stemma.rights.model_names.covers` reads them; its terms may allow fewer."""
    seats = models.PositiveIntegerField(default=0)
    """How many people it is for; 0 where its tier does not count them."""
    monthly_ms = models.BigIntegerField(null=True, blank=True)
    """Generated milliseconds of a month (UTC) at which serving stops; None: no cap was set."""

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.organisation}: {self.tier}"


class CovenantAcceptance(models.Model):
    """That a license has taken a later version of the terms.  The database refuses to change or remove it."""

    id = IdField()
    license = models.ForeignKey(License, on_delete=models.PROTECT, related_name="acceptances")
    covenant = models.ForeignKey(CovenantVersion, on_delete=models.PROTECT, related_name="+")
    replaces = models.ForeignKey(CovenantVersion, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    accepted_by = models.EmailField()
    document = models.JSONField()
    """`stemma.rights.covenant.Acceptance`, as it was logged."""
    receipt = models.JSONField()
    """`stemma.proof.log.Receipt`."""

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.license_id}: {self.covenant_id}"


class ApiKey(models.Model):
    """A key of a license, kept as its hash."""

    id = IdField()
    license = models.ForeignKey(License, on_delete=models.PROTECT, related_name="keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    """The first characters, by which people tell their keys apart."""
    sha256 = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=key_scopes)
    replaces = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by")
    """The key that this one was made for by rotation."""
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}"


class Seat(models.Model):
    """That a person works under a license that counts its people."""

    id = IdField()
    license = models.ForeignKey(License, on_delete=models.PROTECT, related_name="seatings")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="seats")
    given_at = models.DateTimeField()
    given_by = models.CharField(max_length=254)
    left_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["given_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["license", "user"], condition=models.Q(left_at=None), name="license_seat_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} under {self.license_id}"


class LicenseFile(models.Model):
    """A license as a file, for machines without a connection.  The database refuses to change or remove it."""

    id = IdField()
    license = models.ForeignKey(License, on_delete=models.PROTECT, related_name="files")
    sequence = models.PositiveIntegerField()
    document = models.JSONField()
    text = models.TextField()
    """The file as it was handed out."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-sequence"]
        constraints = [models.UniqueConstraint(fields=["license", "sequence"], name="license_file_once")]

    def __str__(self) -> str:
        return f"{self.license_id}, file {self.sequence}"

    def offline(self) -> OfflineLicense:
        """What it says."""
        return OfflineLicense.model_validate(self.document)


class ReceiptChain(models.Model):
    """The receipts of one machine, as far as they have come."""

    id = IdField()
    license = models.ForeignKey(License, on_delete=models.PROTECT, related_name="chains")
    kid = models.CharField(max_length=64)
    """The key that signs them."""
    counter = models.PositiveBigIntegerField(default=0)
    last = models.CharField(max_length=64, blank=True)
    """Hash of the line with that number."""
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["license", "kid"], name="receipt_chain_once")]

    def __str__(self) -> str:
        return f"{self.kid} up to {self.counter}"


class OfflineReceipt(models.Model):
    """One receipt that was taken.  The database refuses to change or remove it."""

    id = IdField()
    """Identifier of the generation, and of its usage fact."""
    chain = models.ForeignKey(ReceiptChain, on_delete=models.PROTECT, related_name="receipts")
    counter = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()
    billable_ms = models.BigIntegerField()
    taken_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["chain", "counter"]
        constraints = [models.UniqueConstraint(fields=["chain", "counter"], name="offline_receipt_once")]

    def __str__(self) -> str:
        return f"receipt {self.counter}"
