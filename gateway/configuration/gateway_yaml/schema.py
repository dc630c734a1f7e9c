"""The published JSON schema of `gateway.yaml`."""

from __future__ import annotations

import json

from .fields import GATEWAY


def gateway_schema() -> str:
    """JSON schema, draft 2020-12, as text."""
    schema: dict[str, object] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://tidegate.dev/schemas/v1/gateway.json",
        "title": "Tidegate gateway",
        **GATEWAY.schema(),
    }
    return json.dumps(schema, indent=2) + "\n"
