"""How an endpoint that goes up and down is kept from taking traffic with it each time.

The rule is route flap damping (RFC 2439). Each time the endpoint leaves HEALTHY it gets one point of penalty, and the
penalty halves every `half_life` seconds. At `suppress` points it is damped: probes go on, but while they pass it gets
calls only if no endpoint is healthy. When the penalty has come down to `reuse`, or after `max_hold` seconds without
another flap, whichever is sooner, it counts in full again.

With the defaults, in the ratios that routers have (penalty 1,000, suppress 2,000, reuse 750, four half-lives at most),
the third flap within a few seconds damps for a minute; one or two restarts never do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damping:
    """`half_life` and `max_hold` in seconds, `suppress` and `reuse` in flaps. ValueError: they make no sense."""

    half_life: float = 30.0
    suppress: float = 2.0
    reuse: float = 0.75
    max_hold: float = 120.0

    def __post_init__(self) -> None:
        numbers = (self.half_life, self.suppress, self.reuse, self.max_hold)
        if not all(math.isfinite(number) and number > 0 for number in numbers) or self.reuse >= self.suppress:
            message = f"Damping wants numbers above 0 and reuse below suppress: {self}."
            raise ValueError(message)

    def decayed(self, penalty: float, seconds: float) -> float:
        """What is left of `penalty` after `seconds`."""
        return penalty * math.pow(0.5, max(0.0, seconds) / self.half_life)

    def hold(self, penalty: float) -> float:
        """Seconds until `penalty` has come down to `reuse`, at most `max_hold`."""
        return min(self.max_hold, max(0.0, self.half_life * math.log2(penalty / self.reuse))) if penalty > 0 else 0.0

    def capped(self, penalty: float) -> float:
        """No penalty is above what takes `max_hold` to decay to `reuse`, so the past weighs only so much."""
        ceiling = self.reuse * math.pow(2.0, min(self.max_hold / self.half_life, 100.0))
        return min(penalty, max(ceiling, self.suppress))
