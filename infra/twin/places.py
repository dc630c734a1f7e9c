"""The regions and zones that the twin has, and how far it is from one to another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.twin.resources.key import Key

Json = dict[str, Any]

DEFAULT_ZONES: Mapping[str, tuple[str, ...]] = {
    "asia-east1": ("a", "b", "c"),
    "asia-northeast1": ("a", "b", "c"),
    "asia-southeast1": ("a", "b", "c"),
    "australia-southeast1": ("a", "b", "c"),
    "europe-north1": ("a", "b", "c"),
    "europe-west1": ("b", "c", "d"),
    "europe-west4": ("a", "b", "c"),
    "southamerica-east1": ("a", "b", "c"),
    "us-central1": ("a", "b", "c", "f"),
    "us-east1": ("b", "c", "d"),
    "us-west1": ("a", "b", "c"),
}

_PLACES: Mapping[str, tuple[float, float]] = {
    "asia-east1": (24.1, 120.5),
    "asia-northeast1": (35.7, 139.7),
    "asia-southeast1": (1.3, 103.7),
    "australia-southeast1": (-33.9, 151.2),
    "europe-north1": (60.6, 27.2),
    "europe-west1": (50.4, 3.8),
    "europe-west4": (53.4, 6.8),
    "southamerica-east1": (-23.5, -46.6),
    "us-central1": (41.3, -95.9),
    "us-east1": (33.2, -80.0),
    "us-west1": (45.6, -121.2),
}
"""Latitude and longitude of the towns that Google names."""

_EARTH_KM = 6371.0
_KM_PER_MS = 67.0
"""Of a round trip: light in fibre goes 100 km there and back in a millisecond, and cables go half as far again."""

_ROUND_THE_WORLD = ({"europe", "asia"}, {"europe", "australia"})
"""Cables between these go by Suez, or by America: twice as far."""


def round_trip(one: str, other: str) -> float:
    """Milliseconds between two regions; those of a region that is nowhere are the longest there are on Earth."""
    if one == other:
        return 0.0
    detour = 2.0 if {_continent(one), _continent(other)} in _ROUND_THE_WORLD else 1.0
    if one not in _PLACES or other not in _PLACES:
        return math.pi * _EARTH_KM / _KM_PER_MS
    (north, east), (other_north, other_east) = (map(math.radians, _PLACES[name]) for name in (one, other))
    cosine = math.sin(north) * math.sin(other_north) + math.cos(north) * math.cos(other_north) * math.cos(
        east - other_east
    )
    return math.acos(max(-1.0, min(1.0, cosine))) * _EARTH_KM / _KM_PER_MS * detour


def _continent(region: str) -> str:
    return region.partition("-")[0]


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
