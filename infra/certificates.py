"""Certificates that are made here: authorities, what they sign, and what servers sign themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

LIFETIME = timedelta(days=365)
CLOCK_SKEW = timedelta(hours=1)

LONGEST_NAME = 64
"""Characters of a common name (RFC 5280, ub-common-name); clients look at the alternative names alone."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A chain of certificates and the key of the first, both PEM."""

    chain: str
    key: str

    def write(self, directory: Path) -> None:
        """As `tls.crt` and `tls.key`, the names in a Kubernetes Secret. OSError."""
        (directory / "tls.crt").write_text(self.chain)
        (directory / "tls.key").touch(mode=0o600)
        (directory / "tls.key").write_text(self.key)


class Authority:
    """Signs certificates of servers. One that is new has its key nowhere but here; `pair` is for keeping it."""

    def __init__(self, pair: KeyPair) -> None:
        """ValueError: it is no pair of `new_authority`'s."""
        key = serialization.load_pem_private_key(pair.key.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the key of an authority has to be one of an elliptic curve")
        self._key = key
        self._name = x509.load_pem_x509_certificate(pair.chain.encode()).subject
        self.certificate = pair.chain
        """What clients have to trust, PEM."""

    def issue(self, *hosts: str, lifetime: timedelta = LIFETIME) -> KeyPair:
        """For a server that is called by host names. ValueError: there is none, or one that is not ASCII."""
        if not hosts:
            raise ValueError("a certificate is for one host name at least")
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = _builder(_name(hosts[0][:LONGEST_NAME]), self._name, key, lifetime)
        builder = builder.add_extension(names, critical=False).add_extension(signer, critical=False)
        return KeyPair(_pem(builder.sign(self._key, hashes.SHA256())), _key_pem(key))


def new_authority(name: str, lifetime: timedelta = LIFETIME) -> KeyPair:
    """For an `Authority`; clients show the name."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(_name(name), _name(name), key, lifetime).add_extension(usage, critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def self_signed(name: str, address: str) -> KeyPair:
    """For a server that nobody verifies, as a load balancer's backends are."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address(address))])
    builder = _builder(_name(name), _name(name), key, LIFETIME).add_extension(names, critical=False)
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
