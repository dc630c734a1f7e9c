"""Applies an API's rules to its methods."""

from __future__ import annotations

from ..model import Method
from ..problems import Place, Problems
from .access import access_by_method
from .bindings import bindings_by_method
from .definition import ApiDefinition, in_order
from .descriptors import Described
from .surface import method_names


def resolve_methods(
    definition: ApiDefinition, described: Described, usage_place: Place, problems: Problems
) -> tuple[Method, ...]:
    """Every method of the API with what holds for it. What is wrong goes to `problems`."""
    names = method_names(definition, described, problems)
    access = access_by_method(definition, names, usage_place, problems)
    bindings = bindings_by_method(definition.http_rules, names, described, problems)
    methods = []
    backend_rules, http_rules = in_order(definition.backend_rules), in_order(definition.http_rules)
    for name in names:
        rule, http_rule = backend_rules.last_for(name), http_rules.last_for(name)
        methods.append(
            Method(
                name,
                backend=rule.backend if rule else None,
                timeout=rule.timeout if rule else None,
                rate_limits=rule.rate_limits if rule else (),
                access=access[name],
                bindings=bindings.get(name, ()),
                retry=rule.retry if rule else None,
                origin=http_rule.place if http_rule else None,
            )
        )
    return tuple(methods)
