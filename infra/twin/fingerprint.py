"""Fingerprints: short hashes of what they stand on, by which a client shows that it has seen the newest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


def fingerprint(content: Mapping[str, Any]) -> str:
    """Of everything in `content` but its own `fingerprint`: eight bytes, in base64."""
    counted = {name: value for name, value in content.items() if name != "fingerprint"}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def is_same(given: str, current: str) -> bool:
    """Compares the bytes, since clients send either alphabet of base64, padded or not."""
    try:
        return hmac.compare_digest(_bytes(given), _bytes(current))
    except (binascii.Error, ValueError):
        return False


def _bytes(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
