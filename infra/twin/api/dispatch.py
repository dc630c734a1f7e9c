"""From a request to its method, and its answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from infra.twin.api import masks
from infra.twin.api.call import Answer, Call, Request, answer_refused
from infra.twin.api.methods import ResourceMethods
from infra.twin.api.others import HealthOf, OtherMethods, not_a_method
from infra.twin.discovery.body import Fault
from infra.twin.discovery.document import Matched, Method, compute_v1
from infra.twin.engine import Engine
from infra.twin.mutate import Mutations
from infra.twin.places import Places
from infra.twin.refused import Refused, bad_request, not_implemented


class Api:
    """Answers one request after the other; never blocks but for its store."""

    def __init__(self, engine: Engine, places: Places, health: HealthOf, *, strict: bool = False) -> None:
        self._engine = engine
        self._document = compute_v1()
        mutations = Mutations(self._document, engine.world, strict, engine.under_way)
        self._resources = ResourceMethods(engine, mutations, places)
        self._others = OtherMethods(engine, mutations, places, health)

    def answer(self, request: Request) -> Answer:
        """Whatever was asked, there is an answer."""
        self._engine.advance(request.now)
        try:
            mask = _mask(request)
            answer = self._answer(request)
        except Refused as refused:
            return answer_refused(refused)
        if not mask or answer.status != 200:
            return answer
        return replace(answer, body=masks.apply(mask, answer.body))

    def due(self, request: Request) -> float | None:
        """When the operation that a request waits for is done; None: it waits for none."""
        matched = self._document.match(request.verb, request.path)
        if matched is None or matched.method.action != "wait":
            return None
        operation = self._engine.operations.get(matched.parameters.get("operation", ""))
        return operation.due if operation else None

    def has(self, method: Method) -> bool:
        """Whether the twin has it; other methods of Google's are answered with 501."""
        return self._method(Call(method, {}, Request(method.verb, "", {}, b"", "", 0.0))) is not None

    def _method(self, call: Call) -> Callable[[Call], Answer] | None:
        return self._resources.find(call) or self._others.find(call)

    def _answer(self, request: Request) -> Answer:
        matched = self._document.match(request.verb, request.path)
        if matched is None:
            verbs = self._document.verbs(request.path)
            if not verbs:
                raise not_a_method(request.path)
            body = answer_refused(Refused(405, [Fault("", f"Only {', '.join(verbs)} is known here.", "badRequest")]))
            return Answer(405, body.body, headers={"Allow": ", ".join(verbs)})
        _check_parameters(matched)
        call = Call(matched.method, matched.parameters, request)
        method = self._method(call)
        if method is None:
            raise not_implemented(matched.method.name)
        return method(call)


def _mask(request: Request) -> masks.Mask:
    """Read before anything is done. Refused: it is none."""
    text = request.query.get("fields", "")
    if not text:
        return {}
    try:
        return masks.parse(text)
    except ValueError as error:
        raise bad_request([Fault("fields", str(error), "invalidParameter")]) from error


def _check_parameters(matched: Matched) -> None:
    faults = []
    for name, value in matched.parameters.items():
        pattern = matched.method.parameters[name].get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            message = f"Invalid value for field '{name}': '{value[:200]}'. Must be a match of regex '{pattern}'"
            faults.append(Fault(name, message))
    if faults:
        raise bad_request(faults)
