"""The regions and zones that the twin has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.twin.resources.key import Key

Json = dict[str, Any]

DEFAULT_ZONES: Mapping[str, tuple[str, ...]] = {
    "asia-northeast1": ("a", "b", "c"),
    "europe-west1": ("b", "c", "d"),
    "us-central1": ("a", "b", "c", "f"),
}


@dataclass(frozen=True, slots=True)
class Places:
    """`regions` names the zones of each, in full."""

    regions: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {
            region: tuple(f"{region}-{letter}" for letter in letters) for region, letters in DEFAULT_ZONES.items()
        }
    )

    @property
    def zones(self) -> dict[str, str]:
        """The region of each zone."""
        return {zone: region for region, zones in self.regions.items() for zone in zones}

    def scopes(self) -> list[str]:
        """`global`, `regions/R` and `zones/Z`, all of them."""
        regions = [f"regions/{region}" for region in sorted(self.regions)]
        return ["global", *regions, *(f"zones/{zone}" for zone in sorted(self.zones))]

    def has(self, scope: str) -> bool:
        """Whether resources can be there."""
        return scope in self.scopes()

    def region(self, project: str, name: str) -> Json | None:
        """A region with links in stored form; None: there is none."""
        if name not in self.regions:
            return None
        zones = [str(Key(project, "", "zones", zone)) for zone in self.regions[name]]
        return {"name": name, "description": name, "status": "UP", "zones": zones, "id": _number(name)}

    def zone(self, project: str, name: str) -> Json | None:
        """A zone with links in stored form; None: there is none."""
        region = self.zones.get(name)
        if region is None:
            return None
        link = str(Key(project, "", "regions", region))
        return {"name": name, "description": name, "status": "UP", "region": link, "id": _number(name)}


def _number(name: str) -> str:
    """Ids of places do not change from start to start."""
    return str(1000 + sum(position * ord(letter) for position, letter in enumerate(name, 1)))
