"""An authority of a test's own, and certificates of every kind that a client must not trust."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Authority:
    """One authority, in a folder."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path) -> Authority:
        """Make one; its certificate lies in `bundle`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed("a test's authority", key, key, "a test's authority", (), is_authority=True)
        found = cls(folder, key, certificate)
        found.bundle.write_bytes(certificate.public_bytes(Encoding.PEM))
        return found

    @property
    def bundle(self) -> Path:
        """The file that clients trust."""
        return self.folder / "authority.pem"

    def context(self, host: str, *, days: int = 30, trusted: bool = True) -> ssl.SSLContext:
        """
        Give what a server answers with.

        Args:
            host: whose certificate it is.
            days: from now until it ends; negative: it has ended.
            trusted: signed by this authority; else by itself.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        signer, issuer = (self.key, "a test's authority") if trusted else (key, host)
        certificate = _signed(host, key, signer, issuer, (host,), days=days)
        place = self.folder / f"{host}{days}{trusted}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        place.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(place)
        return found


def _signed(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: str,
    hosts: tuple[str, ...],
    *,
    days: int = 30,
    is_authority: bool = False,
) -> x509.Certificate:
    now = dt.datetime.now(dt.timezone.utc)
    names = [x509.IPAddress(ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in hosts]
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * _DAY)
        .not_valid_after(now + days * _DAY)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())
