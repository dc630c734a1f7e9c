"""The issuer's private keys: one for each algorithm, made at first use, in files that only their owner can read."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from pathlib import Path

Algorithm = Literal["RS256", "ES256", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

DIRECTORY = "keys"
"""Under `.tidegate`."""
RSA_BITS = 2048
"""NIST SP 800-57: good to 2030; what Google's own issuers use."""
_THUMBPRINT_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
"""RFC 7638, section 3.2, and RFC 8037, appendix A.3."""


class KeyFileError(Exception):
    """A key file cannot be read or made; the message says which and why."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    algorithm: Algorithm
    private: PrivateKey

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The members of RFC 7517, with `kid` the RFC 7638 thumbprint."""
        key = _public_members(self.private)
        members = {name: key[name] for name in _THUMBPRINT_MEMBERS[key["kty"]]}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
        key_id = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return {**members, "kid": key_id, "alg": self.algorithm, "use": "sig"}

    @property
    def key_id(self) -> str:
        key_id: str = self.public_jwk["kid"]
        return key_id


def generate_key(algorithm: Algorithm) -> SigningKey:
    match algorithm:
        case "RS256":
            return SigningKey(algorithm, rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS))
        case "ES256":
            return SigningKey(algorithm, ec.generate_private_key(ec.SECP256R1()))
        case "EdDSA":
            return SigningKey(algorithm, ed25519.Ed25519PrivateKey.generate())


def load_keys(directory: Path) -> tuple[SigningKey, ...]:
    """One key for each algorithm from `directory`, which gets those that it lacks. KeyFileError."""
    return tuple(load_key(directory, algorithm) for algorithm in ALGORITHMS)


def load_key(directory: Path, algorithm: Algorithm) -> SigningKey:
    """The key of one algorithm, made when its file is not there. KeyFileError."""
    path = directory / f"{algorithm}.pem"
    try:
        if not path.exists():
            _create(path, algorithm)
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError):
        raise KeyFileError(f"{path}: not an unencrypted PEM private key; delete it and a new one is made") from None
    if not isinstance(private, _type_of(algorithm)):
        raise KeyFileError(f"{path}: not a key for {algorithm}; delete it and a new one is made")
    return SigningKey(algorithm, private)


def jwks(keys: tuple[SigningKey, ...]) -> dict[str, Any]:
    return {"keys": [key.public_jwk for key in keys]}


def _create(path: Path, algorithm: Algorithm) -> None:
    """Puts a whole file in place at once; where two processes do it together, both read the same one afterwards."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = generate_key(algorithm).private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _type_of(algorithm: Algorithm) -> type[PrivateKey]:
    match algorithm:
        case "RS256":
            return rsa.RSAPrivateKey
        case "ES256":
            return ec.EllipticCurvePrivateKey
        case "EdDSA":
            return ed25519.Ed25519PrivateKey


def _public_members(private: PrivateKey) -> dict[str, Any]:
    match private:
        case rsa.RSAPrivateKey():
            return RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            return ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        case _:
            return OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
