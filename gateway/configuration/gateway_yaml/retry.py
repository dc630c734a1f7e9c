"""`retry` and `circuitBreakers` of a `gateway.yaml`: their shapes, and how they are read."""

from __future__ import annotations

from ..flag_backend import RETRY_CONDITIONS
from ..model import CircuitBreakers, Retry
from ..problems import Problems
from ..section import Section
from ..shape import Field, Listing, Number, Quantity, Record, Text

GRPC_STATUSES = (
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
)
"""In the order of their numbers, which begin with 1."""

CONDITIONS = (*RETRY_CONDITIONS, "gateway-error")
MOST_ATTEMPTS = 100
ENVOYS_BACK_OFFS = 10
"""Envoy's longest back-off, as a multiple of the first."""

RETRY = Record(
    {
        "attempts": Field(Number(0, MOST_ATTEMPTS), "After the first. Default: 1."),
        "on": Field(
            Listing(Text(choices=(*CONDITIONS, *GRPC_STATUSES))),
            "Conditions and gRPC statuses. Default: connect-failure, refused-stream. Others may repeat a call that was"
            " served.",
        ),
        "httpStatuses": Field(Listing(Number(300, 599)), "Statuses that are not passed on while attempts are left."),
        "backOff": Field(Quantity("duration", 0.001), "A random part of this, doubled each time. Default: 25ms."),
        "maxBackOff": Field(Quantity("duration", 0.001), "Default: ten times backOff."),
        "perTryTimeout": Field(
            Quantity("duration"), "An attempt without response headers for so long is given up. Default: 0, never."
        ),
        "hedge": Field(
            Record({"delay": Field(Quantity("duration", 0.001), required=True)}),
            "A second attempt elsewhere after this time without response headers; the first headers win.",
        ),
    }
)

CIRCUIT_BREAKERS = Record(
    {
        "maxConnections": Field(Number(), "Default: 0, no limit. A worker may always have one."),
        "maxPending": Field(Number(), "Requests that wait for a connection. Default: 10000."),
        "maxRequests": Field(Number(), "Requests under way. Default: 0, no limit."),
        "maxRetries": Field(Number(), "Retries under way, beside the budget. Default: 0, no limit."),
        "retryBudget": Field(
            Record(
                {
                    "percent": Field(Number(0, 100), "Of the requests under way. Default: 20."),
                    "least": Field(Number(), "So many in any case. Default: 3."),
                }
            ),
            "How many requests may be under way a second time at once.",
        ),
    }
)


def retry(section: Section, problems: Problems) -> Retry:
    """Reads a checked `retry` mapping. What it leaves out has its default, also where it outranks another."""
    defaults = Retry()
    attempts = section.integer("attempts", defaults.attempts)
    words = [text for text, _ in section.texts("on")] if "on" in section else list(defaults.on)
    base = section.number("backOff", defaults.back_off)
    longest = section.number("maxBackOff", base * ENVOYS_BACK_OFFS)
    if longest < base:
        problems.error(section.place("maxBackOff"), "is less than backOff", f"give at least {base:g}s")
    hedge = section.section("hedge").number("delay") if "hedge" in section else None
    if hedge is not None and attempts == 0:
        problems.error(section.place("hedge"), "is an attempt of its own, and attempts says 0", "give attempts: 1")
    return Retry(
        attempts,
        on=tuple(dict.fromkeys(word for word in words if word in CONDITIONS)),
        http_statuses=tuple(dict.fromkeys(section.integers("httpStatuses"))),
        grpc_statuses=tuple(GRPC_STATUSES.index(word) + 1 for word in dict.fromkeys(words) if word in GRPC_STATUSES),
        back_off=base,
        max_back_off=longest,
        per_try_timeout=section.number("perTryTimeout", defaults.per_try_timeout),
        hedge_delay=hedge,
    )


def circuit_breakers(section: Section) -> CircuitBreakers:
    """Reads a checked `circuitBreakers` mapping."""
    defaults = CircuitBreakers()
    budget = section.section("retryBudget")
    return CircuitBreakers(
        section.integer("maxConnections", defaults.max_connections),
        section.integer("maxPending", defaults.max_pending),
        section.integer("maxRequests", defaults.max_requests),
        section.integer("maxRetries", defaults.max_retries),
        budget.integer("percent", defaults.budget_percent),
        budget.integer("least", defaults.budget_least),
    )
