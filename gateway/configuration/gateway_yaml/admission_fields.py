"""The shapes of rate limits and adaptive concurrency in a `gateway.yaml`."""

from __future__ import annotations

from ..admission import MOST_KEYS, check_rate, check_rate_key
from ..shape import Field, Listing, Number, Record, Text

_NAME = Text(what="a name")

RATE_LIMIT = Record(
    {
        "name": Field(_NAME, "In routes, metrics and log.", required=True),
        "rate": Field(
            Text(parse=check_rate, what="a rate"), "Requests per s, m, h or d: 100/s, 5/m, 1000/h.", required=True
        ),
        "burst": Field(
            Number(1, 1_000_000_000), "Requests that may come at once. Default: what comes in a second, at least 1."
        ),
        "key": Field(
            Text(parse=check_rate_key, what="claim:NAME, header:NAME or source"),
            "One bucket for each claim:NAME (of the verified token), header:NAME or source (the client's address),"
            " or, by default, one for all.",
        ),
        "maxKeys": Field(Number(1, MOST_KEYS), "Keys that are sure to get a bucket. Default: 10000."),
    }
)

RATE_LIMITS = Field(Listing(_NAME), "Names of spec.rateLimits; a request has to pass all of them.")

ADAPTIVE_CONCURRENCY = Field(
    Record(
        {
            "minimum": Field(Number(1, 1_000_000), "The limit is never lower. Default: 3."),
            "maximum": Field(Number(1, 1_000_000), "Never higher. Default: 1000."),
            "initial": Field(Number(1, 1_000_000), "Before anything was measured. Default: 20."),
            "tolerancePercent": Field(
                Number(105, 1000), "Of the latency without load, what a call may take. Default: 150."
            ),
        }
    ),
    "Limits the calls under way to what the backend works off quickly; absent: off. Write {} for the defaults.",
)
