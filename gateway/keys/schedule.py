"""When a provider's keys are fetched, and when they are too old to be trusted. Pure: no clock, no chance, no I/O.

A provider is always in one `State`. Three things happen to it: a fetch succeeds, a fetch fails, a request asks for a
key that is not at hand. Each is a function from the old state and the time to the new state.

- After a success the next fetch is due when the keys' lifetime ends, up to a tenth earlier, so that the replicas of a
  gateway do not call the issuer in step.
- After a failure it is due after a back-off that doubles from 0.2 s to 32 s, halved by chance at most. The keys at hand
  go on serving. Requests that wait for a key are told only when the retries are used up: a single lost packet must not
  turn into a 401.
- A request for an unknown key makes the fetch due at once, but at most every `WANTED_INTERVAL`: key ids are written by
  clients, and a client that invents them must not be able to make us flood the issuer. The first keys begin a new
  interval, so that a request that waited for them does not put off the fetch of the next key.
- Keys that could not be confirmed for `max_stale` are dropped: an issuer may have withdrawn them long ago.

`chance` is always a number in [0, 1) that the caller draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

WANTED_INTERVAL = 10.0
"""Seconds between two fetches that requests with unknown keys have caused."""

HOLD = 5.0
"""Seconds that the core lets a request wait for keys (`hold_timeout_ms` of the snapshot)."""

SHORTEST_LIFETIME = 1.0
FIRST_BACK_OFF = 0.2


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator chose, in seconds. `retries` is how many failures in a row requests do not get to see."""

    cache_duration: float = 300.0
    retries: int = 3
    max_stale: float = 86400.0
    longest_back_off: float = 32.0


@dataclass(frozen=True, slots=True)
class State:
    """Times are seconds of one monotonic clock."""

    due: float
    """When the next fetch starts."""
    confirmed: float | None = None
    """When the keys at hand were last known to be the issuer's; None: there are none."""
    failures: int = 0
    """Fetches that failed since the last success."""
    wanted: float | None = None
    """When a request with an unknown key last caused a fetch."""


def start(now: float) -> State:
    """A provider that has just been configured: fetch at once."""
    return State(due=now)


def succeed(policy: Policy, state: State, now: float, lifetime: float | None, chance: float) -> State:
    """The keys were fetched, or found unchanged; `lifetime` is what the answer itself says, if it does."""
    wait = policy.cache_duration if lifetime is None else lifetime
    wait = max(min(wait, 0.8 * policy.max_stale), SHORTEST_LIFETIME)
    wanted = None if state.confirmed is None else state.wanted
    return replace(state, due=now + wait * (1 - 0.1 * chance), confirmed=now, failures=0, wanted=wanted)


def fail(policy: Policy, state: State, now: float, chance: float) -> tuple[State, bool]:
    """A fetch failed. Also says whether requests that wait have to be decided without it."""
    exponent = min(state.failures, 16)
    back_off = min(FIRST_BACK_OFF * 2**exponent, policy.longest_back_off) * (1 - 0.5 * chance)
    failures = state.failures + 1
    return replace(state, due=now + back_off, failures=failures), failures > policy.retries


def want(state: State, now: float) -> tuple[State, bool]:
    """A request waits for a key that is not at hand. Also says whether it has to be decided without a fetch."""
    allowed = now if state.wanted is None else max(now, state.wanted + WANTED_INTERVAL)
    if state.due <= allowed:
        return state, state.due - now > HOLD
    return replace(state, due=allowed, wanted=allowed), allowed - now > HOLD


def stale_at(policy: Policy, state: State) -> float | None:
    """When the keys at hand have to be dropped; None while there are none."""
    return None if state.confirmed is None else state.confirmed + policy.max_stale


def drop(state: State) -> State:
    """The keys at hand were dropped."""
    return replace(state, confirmed=None)
