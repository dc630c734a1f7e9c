"""google.api selectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.selectors import (
    Rules,
    check_full_name,
    check_selector,
    check_short_name,
    named_methods,
    patterns_for,
)

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,3}", fullmatch=True), min_size=2, max_size=5).map(".".join)


def selects(selector: str, method: str) -> bool:
    return Rules([selector], str).last_for(method) is not None


@given(NAMES, st.data())
def test_a_wildcard_selects_what_is_below_it_and_nothing_beside_it(method: str, data: st.DataObject) -> None:
    parts = method.split(".")
    cut = data.draw(st.integers(1, len(parts) - 1))
    prefix = ".".join(parts[:cut])
    assert selects("*", method)
    assert selects(method, method)
    assert selects(f"{prefix}.*", method)
    assert not selects(f"{prefix}x.*", method)
    assert not selects(prefix, method)
    assert not selects(f"{method}.*", method)


@given(NAMES, NAMES)
def test_a_full_name_selects_itself_only(one: str, other: str) -> None:
    assert selects(one, other) == (one == other)


@given(st.lists(st.sampled_from(["*", "a.*", "a.B.*", "a.B.C", "a.B.D", "x.*", "a.B.C,x.Y.Z"]), max_size=8))
def test_the_last_rule_that_matches_wins(selectors: list[str]) -> None:
    rules = list(enumerate(selectors))
    winner = Rules(rules, lambda rule: rule[1]).last_for("a.B.C")
    matching = [rule for rule in rules if rule[1] in ("*", "a.*", "a.B.*", "a.B.C", "a.B.C,x.Y.Z")]
    assert winner == (matching[-1] if matching else None)


@given(NAMES, st.sampled_from(["*", "a.*", "a.b.*", "a.b.c", "z.y"]))
def test_what_selects_every_method_of_a_service_selects_each_one(service: str, selector: str) -> None:
    if selects(selector, f"{service}.*"):
        assert selects(selector, f"{service}.Method")


@pytest.mark.parametrize(
    "text", ["", "a..b", "a.*.b", "*.a", "a*", "a.b*", ".a", "a.", "a b", "/a.B/C", "a.B,", "1a.b", "**"]
)
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(ValueError, match="selector"):
        check_selector(text)


def test_lists() -> None:
    assert check_selector("a.B.C, x.* ") == "a.B.C,x.*"
    assert selects("a.B.C,x.*", "x.Y.Z")
    assert named_methods(["*", "a.B.C,x.*", "a.B.C", "a.B.D"]) == ["a.B.C", "a.B.D"]
    assert patterns_for("a.B.C") == ["*", "a.*", "a.B.*", "a.B.C"]
    assert patterns_for("a.B.*") == ["*", "a.*", "a.B.*"]


@pytest.mark.parametrize("text", ["*", "a.*", "", "a..b", "a-b"])
def test_names_are_no_patterns(text: str) -> None:
    with pytest.raises(ValueError, match="full name"):
        check_full_name(text)


def test_methods_have_short_names() -> None:
    assert check_short_name("Echo") == "Echo"
    with pytest.raises(ValueError, match="by its own name"):
        check_short_name("api.Echo.Echo")
