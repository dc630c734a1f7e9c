"""From a `gateway.yaml` to the configuration model."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..admission import named_limits, rate_limits, say_unused
from ..api.access import access_by_authentication
from ..api.bindings import read_http_rule
from ..api.definition import ApiDefinition, AuthenticationRule, BackendRule, Service, in_order
from ..document import Node
from ..model import (
    Access,
    AccessLog,
    Admin,
    Authentication,
    Backend,
    GatewayConfig,
    Limits,
    Location,
    Provider,
    RateLimit,
)
from ..problems import Place, Problems
from ..section import Section
from ..service_config.providers import check_header_name, key_source
from ..shape import camel_case
from . import parts
from .fields import GATEWAY
from .retry import retry

_ANY_METHOD = "*"


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """`config` lacks methods, which `api` becomes once its descriptors are known.

    `service_config` is the google.api.Service that the file names instead of an API of its own. `default_access` is
    that of the rules for "*", `guarded_routes` are the places of routes with an authentication of their own.
    """

    config: GatewayConfig
    api: ApiDefinition
    service_config: Path | None
    default_access: Access
    guarded_routes: tuple[Place, ...]

    @property
    def describes_api(self) -> bool:
        return bool(self.api.services or self.api.rules or self.config.authentication.providers)


def read_gateway_file(root: Node, file: Path, problems: Problems) -> GatewayFile:
    """Relative paths start at the file's directory. What is wrong goes to `problems`; the result is then incomplete."""
    base = file.parent
    checked = GATEWAY.check(root, Place(str(file), root.line), problems)
    document = Section(checked or Node(root.line, {}), Place(str(file)))
    spec = document.section("spec")
    authentication = spec.section("authentication")
    providers = _providers(authentication, base, problems)
    provider_ids = [provider.id for provider in providers]
    backends = parts.backends(spec, base, problems)
    rules = _authentication_rules(authentication, provider_ids, problems)
    default_access = access_by_authentication(in_order(rules), _ANY_METHOD)
    limits = rate_limits(spec, problems)
    backend_names = [backend.name for backend in backends]
    routes = parts.routes(spec, backend_names, default_access, provider_ids, limits, problems)
    api = spec.section("api")
    services = tuple(
        Service(entry.text("name"), entry.place("name"), tuple(text for text, _ in entry.texts("methods")))
        for entry in api.sections("services")
    )
    definition = ApiDefinition(
        services=services or None,
        authentication_rules=rules,
        http_rules=tuple(read_http_rule(rule, "additionalBindings", "responseBody") for rule in api.sections("http")),
        backend_rules=_backend_rules(api, backends, limits, problems),
    )
    say_unused(spec, (*routes, *definition.backend_rules), problems)
    config = GatewayConfig(
        listeners=parts.listeners(spec, base, problems),
        backends=backends,
        routes=routes,
        unknown_methods="reject"
        if api.text("unknownMethods", "reject" if services else "pass") == "reject"
        else "pass",
        descriptors=tuple(base / text for text, _ in api.texts("descriptors")),
        authentication=_authentication(authentication, providers),
        rate_limits=limits,
        limits=_limits(spec.section("limits")),
        access_log=_access_log(spec.section("accessLog"), base),
        admin=_admin(spec.section("admin"), problems),
    )
    drain = spec.section("drain")
    config = replace(
        config,
        workers=spec.integer("workers") if "workers" in spec else None,
        drain_delay=drain.number("delay", config.drain_delay),
        drain_grace=drain.number("grace", config.drain_grace),
        xff_trusted_hops=spec.integer("xffTrustedHops"),
        healthz_path=spec.optional_text("healthzPath"),
        zone=spec.text("zone"),
        sources=(file,),
    )
    guarded = tuple(
        route.place("authentication")
        for route in spec.sections("routes")
        if route.section("authentication").sections("requirements")
    )
    service_config = parts.optional_path(api, "serviceConfig", base)
    if service_config is not None:
        _check_service_config_alone(api, authentication, problems)
    return GatewayFile(config, definition, service_config, default_access, guarded)


def check_guarded_routes(file: GatewayFile, methods: list[str], problems: Problems) -> None:
    """A method that is known outranks routes: one without a rule would be open where its route asks for a token."""
    rules = in_order(file.api.authentication_rules)
    open_methods = [name for name in methods if rules.last_for(name) is None]
    if open_methods:
        for place in file.guarded_routes:
            problems.error(
                place,
                f"does not hold for methods that are known: {', '.join(open_methods[:5])}",
                'add spec.authentication.rules for them, or for "*"',
            )


def _check_service_config_alone(api: Section, authentication: Section, problems: Problems) -> None:
    for section, keys in ((api, ("services", "http", "unknownMethods")), (authentication, ("providers", "rules"))):
        for key in keys:
            if key in section:
                problems.error(
                    section.place(key), "stands in the file that api.serviceConfig names", "remove one of them"
                )


def _providers(authentication: Section, base: Path, problems: Problems) -> tuple[Provider, ...]:
    sections = authentication.sections("providers")
    parts.check_unique(sections, "id", "provider", problems)
    return tuple(_provider(section, base, problems) for section in sections)


def _provider(section: Section, base: Path, problems: Problems) -> Provider:
    jwks = section.text("jwks")
    place = section.place("jwks") if jwks else section.place()
    if "anyAudience" in section and not section.flag("anyAudience"):
        problems.error(section.place("anyAudience"), "false names no audience", "give audiences")
    if jwks and "://" not in jwks:
        source: str | None = str(base / jwks)
    else:
        source = key_source(jwks, section.text("issuer"), place, problems)
    return Provider(
        section.text("id"),
        section.text("issuer"),
        jwks=source,
        audiences=tuple(text for text, _ in section.texts("audiences")),
        locations=tuple(_location(entry, problems) for entry in section.sections("locations")),
    )


def _location(entry: Section, problems: Problems) -> Location:
    if "header" in entry:
        check_header_name(entry.text("header"), entry.place("header"), problems)
        return Location("header", entry.text("header").lower(), entry.text("prefix"))
    if "prefix" in entry:
        problems.error(entry.place("prefix"), "only a token in a header has a prefix")
    return Location("query", entry.text("query")) if "query" in entry else Location("cookie", entry.text("cookie"))


def _authentication_rules(
    authentication: Section, providers: list[str], problems: Problems
) -> tuple[AuthenticationRule, ...]:
    return tuple(
        AuthenticationRule(
            rule.text("selector", "*"),
            rule.place("selector"),
            parts.requirements(rule, providers, problems),
            rule.flag("allowWithoutCredential"),
        )
        for rule in authentication.sections("rules")
    )


def _backend_rules(
    api: Section, backends: tuple[Backend, ...], limits: tuple[RateLimit, ...], problems: Problems
) -> tuple[BackendRule, ...]:
    names = [backend.name for backend in backends]
    rules = []
    for rule in api.sections("methods"):
        parts.check_known(rule.text("backend"), names, "backend", rule, "backend", problems)
        timeout = rule.number("timeout") if "timeout" in rule else None
        own = retry(rule.section("retry"), problems) if "retry" in rule else None
        rules.append(
            BackendRule(
                rule.text("selector", "*"),
                rule.place("selector"),
                rule.optional_text("backend"),
                timeout,
                own,
                named_limits(rule, limits, problems),
            )
        )
    return tuple(rules)


def _authentication(section: Section, providers: tuple[Provider, ...]) -> Authentication:
    defaults = Authentication()
    return Authentication(
        providers,
        userinfo_format="espv1" if section.text("userinfoFormat") == "espv1" else "espv2",
        token_cache_size=section.integer("tokenCacheSize", defaults.token_cache_size),
        jwks_cache_duration=section.number("jwksCacheDuration", defaults.jwks_cache_duration),
        jwks_fetch_retries=section.integer("jwksFetchRetries", defaults.jwks_fetch_retries),
        jwks_max_stale=section.number("jwksMaxStale", defaults.jwks_max_stale),
    )


def _limits(section: Section) -> Limits:
    changes: dict[str, Any] = {}
    for name in Limits.__dataclass_fields__:
        key = "streamWindow" if name == "stream_window_bytes" else camel_case(name)
        if key in section:
            number = section.number(key)
            changes[name] = number if isinstance(getattr(Limits(), name), float) else int(number)
    return Limits(**changes)


def _access_log(section: Section, base: Path) -> AccessLog:
    defaults = AccessLog()
    path = section.text("path", defaults.path)
    if path == "off":
        path = ""
    elif path != "-":
        path = str(base / path)
    return AccessLog(path, section.integer("successRate", defaults.success_rate))


def _admin(section: Section, problems: Problems) -> Admin:
    address = section.optional_text("address")
    if address is not None:
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            problems.error(section.place("address"), f'"{address}" is not an IP address')
    return Admin(section.integer("port", Admin().port), address)
