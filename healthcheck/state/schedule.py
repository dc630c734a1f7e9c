"""When the next probe is due.

Probes of many endpoints, and of many gateways, must not fall on the same instant: first probes are spread over
`spread` seconds, and each interval is varied by up to `jitter` of itself, both ways, so that their mean is `interval`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds, but for `jitter`, which is a part of the interval.

    `no_traffic_interval` is for endpoints that get no calls, as Envoy's of that name. ValueError: an interval not above
    0, a jitter not in 0..1, a negative spread.
    """

    interval: float = 5.0
    jitter: float = 0.1
    no_traffic_interval: float = 60.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        intervals = 0 < self.interval < float("inf") and 0 < self.no_traffic_interval < float("inf")
        if not intervals or not 0 <= self.jitter < 1 or not 0 <= self.spread < float("inf"):
            message = f"A schedule wants intervals above 0, a jitter from 0 to below 1 and a spread: {self}."
            raise ValueError(message)

    def first(self, now: float, draw: float) -> float:
        """When the first probe is due. `draw`: a random number, at least 0 and below 1."""
        return now + self.spread * draw

    def following(self, due: float, now: float, draw: float, traffic: bool = True) -> float:
        """When the probe after the one that was due at `due` is due, asked at `now`, when that one has ended.

        It counts from `due`, so that slow answers do not stretch the interval; rounds that were missed are left out
        rather than caught up with.
        """
        interval = self._varied(draw, traffic)
        planned = due + interval
        return planned if planned > now else now + interval

    def hastened(self, due: float, now: float, draw: float) -> float:
        """When the next probe is due, given that traffic begins `now` and it was planned for `due`."""
        return min(due, now + self._varied(draw, True))

    def _varied(self, draw: float, traffic: bool) -> float:
        interval = self.interval if traffic else self.no_traffic_interval
        return interval * (1 + self.jitter * (2 * draw - 1))
