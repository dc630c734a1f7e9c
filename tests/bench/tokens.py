"""An issuer of tokens: two keys, its JWKS and as many tokens as a row wants."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.bench.example"
AUDIENCE = "https://bench.example"
LIFETIME_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True)
class Issuer:
    """Files that proxies and driver read. `rs256` has one token per connection, `mixed` 10,000 distinct ones, RS256 and
    ES256 in turn, `forged` tokens of the right form signed with keys that are not in the JWKS."""

    jwks: Path
    rs256: Path
    mixed: Path
    forged: Path


def make(directory: Path, *, connections: int = 16, distinct: int = 10_000) -> Issuer:
    directory.mkdir(parents=True, exist_ok=True)
    made = Issuer(directory / "jwks.json", directory / "rs256", directory / "mixed", directory / "forged")
    rsa_key, ec_key = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    keys: list[dict[str, Any]] = [
        {**RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True), "kid": "rsa", "alg": "RS256", "use": "sig"},
        {**ECAlgorithm.to_jwk(ec_key.public_key(), as_dict=True), "kid": "ec", "alg": "ES256", "use": "sig"},
    ]
    made.jwks.write_text(json.dumps({"keys": keys}))
    made.rs256.write_text("\n".join(_token(rsa_key, number) for number in range(connections)))
    made.mixed.write_text(
        "\n".join(_token(rsa_key if number % 2 else ec_key, 1_000_000 + number) for number in range(distinct))
    )
    other_rsa, other_ec = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    made.forged.write_text("\n".join(_token(key, number) for key in (other_rsa, other_ec) for number in range(8)))
    return made


def _token(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, number: int) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"user-{number:08d}",
        "email": f"user-{number:08d}@bench.example",
        "iat": now - 60,
        "exp": now + LIFETIME_SECONDS,
        "scope": "echo.read echo.write",
    }
    algorithm, name = ("RS256", "rsa") if isinstance(key, rsa.RSAPrivateKey) else ("ES256", "ec")
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": name})
