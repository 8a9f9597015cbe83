"""A small certificate authority for content credentials, made on first start.

Its certificates follow the C2PA 2.2 profile (root, intermediate, and a leaf with digitalSignature
and emailProtection).  They prove that this installation signed, to whoever has its root; the public
trust list does not know them.  To sign with your own, put its `chain.pem`, `leaf.key` and `root.pem`
in the folder `content` beside the signing keys.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stemma.errors import NotFoundError

FOLDER = "content"
YEARS = 5


class Authority:
    """The signing certificate of one installation, in a folder of its keys."""

    def __init__(self, keys_path: Path) -> None:
        self.folder = keys_path / FOLDER

    def create(self) -> None:
        """Make root, intermediate and leaf where there are none."""
        if (self.folder / "root.pem").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        root_key, root = _issue("Stemma test root", None, None, ca=True)
        middle_key, middle = _issue("Stemma test intermediate", root_key, root, ca=True)
        leaf_key, leaf = _issue("Stemma test content credentials", middle_key, middle, ca=False)
        self._write("leaf.key", _private_pem(leaf_key))
        self._write("chain.pem", _pem(leaf) + _pem(middle))
        # Written last: its presence says that the others are whole.
        self._write("root.pem", _pem(root))

    def chain(self) -> bytes:
        """Leaf and intermediate certificates, PEM."""
        return self._read("chain.pem")

    def private_key(self) -> bytes:
        """The leaf's private key, PKCS 8 PEM."""
        return self._read("leaf.key")

    def anchors(self) -> str:
        """The root that a verifier must trust, PEM."""
        return self._read("root.pem").decode()

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(
                f"There is no {name} for content credentials in {self.folder}.", remedy="Run `stemma keys create`."
            ) from None

    def _write(self, name: str, content: bytes) -> None:
        part = self.folder / f"{name}.part"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        part.replace(self.folder / name)


def _issue(
    name: str,
    issuer_key: ec.EllipticCurvePrivateKey | None,
    issuer: x509.Certificate | None,
    *,
    ca: bool,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Stemma"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    start = datetime.now(UTC) - timedelta(hours=1)
    signer = issuer_key or key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return key, builder.sign(signer, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
