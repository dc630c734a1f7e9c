"""How an operator says how a backend's endpoints share its requests."""

from __future__ import annotations

import re
from typing import get_args

from .model import Balance, BalancePolicy, FailurePercentage, HashOn, OutlierDetection, SlowStart, SuccessRate
from .problems import Problems
from .section import Section

BALANCE_POLICIES: tuple[BalancePolicy, ...] = get_args(BalancePolicy)
HASHING: tuple[BalancePolicy, ...] = ("ring-hash", "maglev")
PREFER_LOCAL = "prefer-local"
LOCALITIES = ("ignore", PREFER_LOCAL)

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def parse_hash_on(text: str) -> HashOn:
    """Reads `header:NAME`, `cookie:NAME` or `source`. ValueError: it is none of these."""
    kind, _, name = text.partition(":")
    if text == "source":
        return HashOn("source")
    if kind == "header" and _NAME.fullmatch(name):
        return HashOn("header", name.lower())
    if kind == "cookie" and _NAME.fullmatch(name):
        return HashOn("cookie", name)
    raise ValueError(f'"{text}" is none of header:NAME, cookie:NAME, source')


def check_hash_on(text: str) -> str:
    """The text itself. ValueError as `parse_hash_on`."""
    parse_hash_on(text)
    return text


def balance(section: Section, problems: Problems) -> Balance:
    """Reads a checked `balance` mapping; a policy and what it hashes have to fit."""
    defaults = Balance()
    policy = next((known for known in BALANCE_POLICIES if known == section.optional_text("policy")), defaults.policy)
    text = section.optional_text("hashOn")
    if policy in HASHING and text is None and "hashOn" not in section:
        problems.error(
            section.place("policy"), f"{policy} needs hashOn", "add hashOn: header:NAME, cookie:NAME or source"
        )
    elif policy not in HASHING and text is not None:
        problems.error(section.place("hashOn"), f"{policy} hashes nothing", "remove it, or choose ring-hash or maglev")
    if policy not in HASHING and "hashBalanceFactorPercent" in section:
        place = section.place("hashBalanceFactorPercent")
        problems.error(place, f"{policy} hashes nothing", "remove it, or choose ring-hash or maglev")
    if policy in HASHING and "slowStart" in section:
        message = f"{policy} has no slow start: with every change of weights, hashes would lead elsewhere"
        problems.error(section.place("slowStart"), message, "remove it, or choose round-robin or least-request")
    return Balance(
        policy,
        parse_hash_on(text) if text is not None else None,
        section.integer("overprovisioningPercent", defaults.overprovisioning_percent),
        section.integer("panicThresholdPercent", defaults.panic_threshold_percent),
        section.text("localities") == PREFER_LOCAL,
        section.integer("hashBalanceFactorPercent", defaults.hash_balance_factor_percent),
        _slow_start(section.section("slowStart")) if "slowStart" in section else None,
    )


def _slow_start(section: Section) -> SlowStart:
    defaults = SlowStart()
    return SlowStart(
        section.number("window", defaults.window),
        section.number("aggression", defaults.aggression),
        section.integer("minWeightPercent", defaults.min_weight_percent),
    )


def outlier_detection(section: Section) -> OutlierDetection:
    """Reads a checked `outlierDetection` mapping."""
    defaults = OutlierDetection()
    return OutlierDetection(
        section.integer("consecutiveErrors", defaults.consecutive_errors),
        section.number("baseEjection", defaults.base_ejection),
        section.number("maxEjection", defaults.max_ejection),
        section.integer("maxEjectedPercent", defaults.max_ejected_percent),
        section.number("interval", defaults.interval),
        _success_rate(section.section("successRate")) if "successRate" in section else None,
        _failure_percentage(section.section("failurePercentage")) if "failurePercentage" in section else None,
    )


def _success_rate(section: Section) -> SuccessRate:
    defaults = SuccessRate()
    return SuccessRate(
        section.number("standardDeviations", defaults.standard_deviations),
        section.integer("minimumHosts", defaults.minimum_hosts),
        section.integer("requestVolume", defaults.request_volume),
    )


def _failure_percentage(section: Section) -> FailurePercentage:
    defaults = FailurePercentage()
    return FailurePercentage(
        section.integer("threshold", defaults.threshold),
        section.integer("minimumHosts", defaults.minimum_hosts),
        section.integer("requestVolume", defaults.request_volume),
    )
