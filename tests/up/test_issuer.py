from __future__ import annotations

import base64
import json
import stat
import time
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.issuer.keys import ALGORITHMS, Algorithm, KeyFileError, SigningKey, generate_key, load_key, load_keys
from infra.issuer.server import DISCOVERY_PATH, Issuer
from infra.issuer.tokens import Fault, Order, mint

AUDIENCE = "https://api.example"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[SigningKey, ...]:
    return load_keys(tmp_path_factory.mktemp("issuer") / "keys")


async def fetch(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        document: dict[str, Any] = await response.json()
        return document


def verify(token: str, jwks: dict[str, Any], issuer: str) -> dict[str, Any]:
    """As a stranger would: with nothing but the published keys."""
    key = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(token, key, [key.algorithm_name], audience=AUDIENCE, issuer=issuer)
    return claims


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_verifies_with_what_discovery_leads_to(
    algorithm: Algorithm, keys: tuple[SigningKey, ...]
) -> None:
    async with Issuer(keys, "127.0.0.1", 0) as issuer:
        discovery = await fetch(issuer.url + DISCOVERY_PATH)
        published = await fetch(discovery["jwks_uri"])
    assert discovery["issuer"] == issuer.url
    assert not any("d" in key for key in published["keys"]), "a private key was published"
    key = next(key for key in keys if key.algorithm == algorithm)
    order = Order(issuer.url, (AUDIENCE, "another"), "alice", 60.0, claims={"roles": ["admin"], "sub": "bob"})
    claims = verify(mint(order, key, time.time()), published, issuer.url)
    assert (claims["sub"], claims["roles"], claims["exp"] - claims["iat"]) == ("bob", ["admin"], 60)


FAULTS: list[tuple[Fault, type[jwt.PyJWTError]]] = [
    ("expired", jwt.ExpiredSignatureError),
    ("not-yet-valid", jwt.ImmatureSignatureError),
    ("wrong-audience", jwt.InvalidAudienceError),
    ("wrong-key", jwt.InvalidSignatureError),
]


@pytest.mark.parametrize(("fault", "refusal"), FAULTS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_fault_is_the_only_thing_wrong(
    fault: Fault, refusal: type[jwt.PyJWTError], algorithm: Algorithm, keys: tuple[SigningKey, ...]
) -> None:
    key = next(key for key in keys if key.algorithm == algorithm)
    published = {"keys": [key.public_jwk for key in keys]}
    order = Order("https://issuer.example", (AUDIENCE,), "alice", faults=frozenset({fault}))
    with pytest.raises(refusal):
        verify(mint(order, key, time.time()), published, order.issuer)


def test_key_ids_are_thumbprints() -> None:
    # RFC 8037, appendices A.1 and A.3.
    secret = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = SigningKey("EdDSA", Ed25519PrivateKey.from_private_bytes(secret))
    assert key.key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    first = load_keys(tmp_path / "keys")
    assert [key.key_id for key in load_keys(tmp_path / "keys")] == [key.key_id for key in first]
    files = sorted((tmp_path / "keys").iterdir())
    assert [file.name for file in files] == sorted(f"{algorithm}.pem" for algorithm in ALGORITHMS)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_spoilt_key_file_is_named_and_its_content_is_not(tmp_path: Path) -> None:
    (tmp_path / "RS256.pem").write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(KeyFileError, match=r"RS256\.pem.*delete it") as error:
        load_key(tmp_path, "RS256")
    assert "c2VjcmV0" not in str(error.value)
    load_key(tmp_path, "EdDSA")
    (tmp_path / "EdDSA.pem").rename(tmp_path / "ES256.pem")
    with pytest.raises(KeyFileError, match="not a key for ES256"):
        load_key(tmp_path, "ES256")


def test_generated_keys_differ() -> None:
    assert json.dumps(generate_key("ES256").public_jwk) != json.dumps(generate_key("ES256").public_jwk)
