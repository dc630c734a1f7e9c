"""Mints tokens: good ones, and bad ones on purpose, so that every refusal of a gateway can be seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import jwt

from infra.issuer.keys import generate_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.issuer.keys import SigningKey

Fault = Literal["expired", "not-yet-valid", "wrong-audience", "wrong-key"]

WRONG_AUDIENCE = "https://somebody-else.example"
DISTANCE_SECONDS = 600
"""How far an expired token is past and an early one ahead: well over the minute of clock skew that verifiers allow."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a token is to say. `lifetime` is in seconds; `claims` outrank what is set here."""

    issuer: str
    audiences: tuple[str, ...]
    subject: str
    lifetime: float = 3600.0
    faults: frozenset[Fault] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)


def claims_of(order: Order, now: float) -> dict[str, Any]:
    """The payload of a token that is minted at `now`, in seconds since 1970."""
    issued = int(now)
    expires = issued + max(1, int(order.lifetime))
    if "not-yet-valid" in order.faults:
        issued, expires = issued + DISTANCE_SECONDS, expires + DISTANCE_SECONDS
    if "expired" in order.faults:
        expires = int(now) - DISTANCE_SECONDS
        issued = expires - max(1, int(order.lifetime))
    audiences = (WRONG_AUDIENCE,) if "wrong-audience" in order.faults else order.audiences
    return {
        "iss": order.issuer,
        "sub": order.subject,
        "aud": audiences[0] if len(audiences) == 1 else list(audiences),
        "iat": issued,
        "nbf": issued,
        "exp": expires,
        **order.claims,
    }


def mint(order: Order, key: SigningKey, now: float) -> str:
    """A signed token. `wrong-key` signs with a key made for it alone, under the right key's id."""
    signer = generate_key(key.algorithm) if "wrong-key" in order.faults else key
    return jwt.encode(claims_of(order, now), signer.private, key.algorithm, headers={"kid": key.key_id})
