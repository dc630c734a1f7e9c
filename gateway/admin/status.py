"""`/status.json`: everything that the page shows, in one document."""

from __future__ import annotations

import dataclasses
import json
import time

from gateway.admin.facts import Facts, is_ready, readiness
from gateway.core import Core


def status(facts: Facts, core: Core, version: str) -> dict[str, object]:
    """The state of the process and of its core.

    `core` is what `Core.status` says; the other members are the process's own. Ages and times are in seconds.
    """
    return {
        "product": f"tidegate {version}",
        "snapshot": facts.version,
        "ready": is_ready(facts),
        "phase": facts.phase.value,
        "uptime": time.time() - facts.started_at,
        "workers": facts.workers,
        "streams": core.active_streams(),
        "connections": core.active_connections(),
        "checks": [
            {"check": check.name, "holds": check.holds, "reason": "" if check.holds else check.reason}
            for check in readiness(facts)
        ],
        "listeners": [{"name": name, "address": address} for name, address in facts.addresses.items()],
        "discovery": [dataclasses.asdict(report) for report in facts.backends],
        "keys": [dataclasses.asdict(report) for report in facts.keys],
        "reloads": dataclasses.asdict(facts.reloads),
        "warnings": list(facts.warnings),
        "core": json.loads(core.status()),
    }
