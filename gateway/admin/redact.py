"""The configuration that serves, fit to be shown: as it was understood, and as the core got it, without secrets."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path

from gateway.admin.facts import Facts
from gateway.keys.location import without_secrets

REDACTED = "[redacted]"


def configuration(facts: Facts) -> dict[str, object]:
    """`{"version", "config": the model, "snapshot": the core's document}`."""
    snapshot = json.loads(facts.snapshot) if facts.snapshot else None
    return {"version": facts.version, "config": _model(facts.config), "snapshot": _document(snapshot)}


def _model(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return {
            field.name: REDACTED if "secret" in field.metadata else _model(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, (list, tuple)):
        return [_model(item) for item in value]
    if isinstance(value, str):
        return without_secrets(value) if value.startswith(("http://", "https://")) else value
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    return str(value) if isinstance(value, Path) else value


def _document(value: object, name: str = "") -> object:
    if name == "key_pem":
        return REDACTED
    if name == "descriptors" and isinstance(value, list):
        return [f"[{len(base64.b64decode(item))} bytes]" for item in value]
    if isinstance(value, dict):
        return {key: _document(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_document(item) for item in value]
    return value
