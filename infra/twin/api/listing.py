"""Lists: filtered, ordered, in pages; of one scope or of all of them together."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infra.twin.api.filters import parse
from infra.twin.discovery.body import Fault
from infra.twin.refused import Refused, bad_request

Json = dict[str, Any]

MOST_RESULTS = 500


def page(items: Iterable[Json], query: Mapping[str, str]) -> tuple[list[Json], str | None]:
    """The page that a query asks for, and the token of the next one. Refused: the query is bad."""
    newest_first = _newest_first(query)
    after, most = _after(query.get("pageToken", "")), _most(query)
    chosen = _filtered(items, query)
    if after is not None:
        # By its place in the order and not by what stood there, which may be gone.
        chosen = [item for item in chosen if _order(item, newest_first) != after]
        chosen = [item for item in chosen if (_order(item, newest_first) < after) == newest_first]
    chosen.sort(key=lambda item: _order(item, newest_first), reverse=newest_first)
    found = chosen[:most]
    return found, _token(found[-1], newest_first) if len(chosen) > most else None


def answer(kind: str, link: str, items: Sequence[Json], token: str | None) -> Json:
    """The list of one scope."""
    body: Json = {"kind": kind, "id": link.partition("/compute/v1/")[2], "selfLink": link}
    if items:
        body["items"] = list(items)
    if token:
        body["nextPageToken"] = token
    return body


def aggregated(
    kind: str, link: str, collection: str, scopes: Iterable[str], items: Sequence[tuple[str, Json]], token: str | None
) -> Json:
    """The list of all scopes: each that is empty says so."""
    scoped: dict[str, Json] = {scope: _no_results(scope) for scope in scopes}
    for scope, item in items:
        scoped[scope].pop("warning", None)
        scoped[scope].setdefault(collection, []).append(item)
    body: Json = {"kind": kind, "id": link.partition("/compute/v1/")[2], "selfLink": link, "items": scoped}
    if token:
        body["nextPageToken"] = token
    return body


def _no_results(scope: str) -> Json:
    message = f"There are no results for scope '{scope}' on this page."
    data = [{"key": "scope", "value": scope}]
    return {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": message, "data": data}}


def _filtered(items: Iterable[Json], query: Mapping[str, str]) -> list[Json]:
    try:
        test = parse(query.get("filter", ""))
    except ValueError as error:
        raise _bad("filter", query["filter"], f"Invalid list filter expression: {error}.") from error
    return [item for item in items if test(item)]


def _newest_first(query: Mapping[str, str]) -> bool:
    order = query.get("orderBy", "") or "name"
    if order not in ("name", "creationTimestamp desc"):
        raise _bad("orderBy", order, 'Only "name" and "creationTimestamp desc" are known.')
    return order != "name"


def _order(item: Json, newest_first: bool) -> tuple[str, int]:
    first = str(item.get("creationTimestamp", item.get("insertTime", ""))) if newest_first else str(item["name"])
    return first, int(item.get("id", 0))


def _most(query: Mapping[str, str]) -> int:
    text = query.get("maxResults", "") or str(MOST_RESULTS)
    if not (re.fullmatch("[0-9]{1,9}", text) and int(text) <= MOST_RESULTS):
        raise _bad("maxResults", text, f"Must be between 0 and {MOST_RESULTS}.")
    return int(text) or MOST_RESULTS


def _token(last: Json, newest_first: bool) -> str:
    return base64.urlsafe_b64encode(json.dumps(_order(last, newest_first)).encode()).decode()


def _after(token: str) -> tuple[str, int] | None:
    """What the page before ended with; None: this is the first."""
    if not token:
        return None
    try:
        first, number = json.loads(base64.urlsafe_b64decode(token))
        return str(first), int(number)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _bad("pageToken", token, "It is of no page of this list.") from error


def _bad(parameter: str, value: str, message: str) -> Refused:
    return bad_request([Fault(parameter, f"Invalid value for field '{parameter}': '{value[:200]}'. {message}")])
