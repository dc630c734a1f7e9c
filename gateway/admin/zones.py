"""What each zone's endpoints get of a backend's requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def zones(endpoints: Sequence[Json]) -> list[Json]:
    """One member for each zone of the rows of `/clusters`, by name; "" are those whose zone is not known."""
    found: dict[str, Json] = {}
    for row in endpoints:
        if row["state"] == "draining":
            continue
        zone = found.setdefault(row["zone"], {"zone": row["zone"], "endpoints": 0, "healthy": 0, "share": 0.0})
        zone["endpoints"] += 1
        zone["healthy"] += row["health"] == "healthy"
        zone["share"] = round(zone["share"] + row["share"], 6)
    return [found[name] for name in sorted(found)]
