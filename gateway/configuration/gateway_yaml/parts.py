"""Listeners, backends and routes of a `gateway.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..admission import adaptive_concurrency, named_limits
from ..backend_url import lookup_family
from ..balance import balance, outlier_detection
from ..health_check import health_check
from ..model import (
    Access,
    Backend,
    BackendTls,
    CertificateSource,
    HeaderMatch,
    Listener,
    ListenerTls,
    RateLimit,
    Requirement,
    Route,
)
from ..problems import Problems, did_you_mean
from ..quantities import server_name_of
from ..section import Section
from ..service_config.providers import check_header_name
from .retry import circuit_breakers, retry
from .target import check_contradictions


def check_unique(sections: Iterable[Section], key: str, what: str, problems: Problems) -> None:
    """Reports what has the same `key` as something before it."""
    seen: set[str] = set()
    for section in sections:
        value = section.text(key)
        if value in seen:
            problems.error(section.place(key), f'{what} "{value}" is given a second time')
        seen.add(value)


def check_known(name: str, known: Iterable[str], what: str, section: Section, key: str, problems: Problems) -> None:
    names = list(known)
    if name and name not in names:
        problems.error(section.place(key), f'there is no {what} "{name}"', did_you_mean(name, names))


def key_pair(section: Section, base: Path, problems: Problems) -> CertificateSource:
    if "directory" in section and "key" in section:
        problems.error(section.place("key"), "a directory holds certificate and key: give it alone")
    if ("chain" in section) != ("key" in section) and "directory" not in section:
        problems.error(section.place(), "chain and key are given together")
    return CertificateSource(
        optional_path(section, "directory", base),
        optional_path(section, "chain", base),
        optional_path(section, "key", base),
    )


def optional_path(section: Section, key: str, base: Path) -> Path | None:
    text = section.optional_text(key)
    return base / text if text else None


def listeners(spec: Section, base: Path, problems: Problems) -> tuple[Listener, ...]:
    sections = spec.sections("listeners")
    check_unique(sections, "name", "listener", problems)
    check_unique(
        (section for section in sections if not section.text("address").endswith(":0")), "address", "address", problems
    )
    return tuple(
        Listener(
            section.text("name"),
            section.text("address"),
            _listener_tls(section.section("tls"), base, problems) if "tls" in section else None,
        )
        for section in sections
    )


def _listener_tls(tls: Section, base: Path, problems: Problems) -> ListenerTls:
    ca = optional_path(tls, "clientCa", base)
    mode = tls.text("clientCertificate", "required" if ca else "none")
    if mode != "none" and ca is None:
        problems.error(tls.place("clientCertificate"), f"{mode} needs clientCa to check certificates with")
    if mode == "none" and ca is not None:
        problems.error(tls.place("clientCertificate"), "none contradicts clientCa")
    minimum, maximum = tls.text("minimumVersion", "1.2"), tls.text("maximumVersion", "1.3")
    if minimum > maximum:
        problems.error(tls.place("maximumVersion"), f"{maximum} is older than the minimum, {minimum}")
    return ListenerTls(
        tuple(key_pair(pair, base, problems) for pair in tls.sections("certificates")),
        client_ca=ca,
        client_certificate="required" if mode == "required" else "optional" if mode == "optional" else "none",
        minimum_version="1.3" if minimum == "1.3" else "1.2",
        maximum_version="1.2" if maximum == "1.2" else "1.3",
        cipher_suites=tuple(text for text, _ in tls.texts("cipherSuites")),
    )


def backends(spec: Section, base: Path, problems: Problems) -> tuple[Backend, ...]:
    sections = spec.sections("backends")
    check_unique(sections, "name", "backend", problems)
    return tuple(_backend(section, base, problems) for section in sections)


def _backend(section: Section, base: Path, problems: Problems) -> Backend:
    defaults = Backend("", ())
    keepalive = section.section("keepalive")
    targets = tuple(text for text, _ in section.texts("targets"))
    check_contradictions(section, problems)
    backend = Backend(
        section.text("name"),
        targets,
        tls=_backend_tls(section, targets, base, problems) if "tls" in section else None,
        authority=section.optional_text("authority"),
        retry=retry(section.section("retry"), problems) if "retry" in section else defaults.retry,
        circuit_breakers=circuit_breakers(section.section("circuitBreakers")),
        connect_timeout=section.number("connectTimeout", defaults.connect_timeout),
        keepalive_time=keepalive.number("time", defaults.keepalive_time),
        keepalive_timeout=keepalive.number("timeout", defaults.keepalive_timeout),
        lookup_family=lookup_family(section.optional_text("dnsLookupFamily")) or defaults.lookup_family,
        balance=balance(section.section("balance"), problems) if "balance" in section else defaults.balance,
        outlier_detection=(
            outlier_detection(section.section("outlierDetection")) if "outlierDetection" in section else None
        ),
        adaptive_concurrency=(
            adaptive_concurrency(section.section("adaptiveConcurrency"), problems)
            if "adaptiveConcurrency" in section
            else None
        ),
    )
    if "healthCheck" not in section:
        return backend
    check = health_check(
        section.section("healthCheck"), backend, lambda at: _backend_tls(at, targets, base, problems), problems
    )
    return replace(backend, health_check=check)


def _backend_tls(section: Section, targets: tuple[str, ...], base: Path, problems: Problems) -> BackendTls:
    tls = section.section("tls")
    name = tls.optional_text("serverName")
    if name is None:
        name = next((said for target in targets if (said := server_name_of(target))), None)
        if name is None and targets:
            problems.error(tls.place(), "TLS needs serverName where no target says the name")
    client = key_pair(tls.section("client"), base, problems) if "client" in tls else None
    return BackendTls(optional_path(tls, "ca", base), client, name)


def routes(
    spec: Section,
    backend_names: Iterable[str],
    default_access: Access,
    providers: Iterable[str],
    limits: tuple[RateLimit, ...],
    problems: Problems,
) -> tuple[Route, ...]:
    """`default_access` holds for routes that say nothing themselves."""
    sections = spec.sections("routes")
    names, known = list(backend_names), list(providers)
    check_unique(sections, "name", "route", problems)
    return tuple(
        replace(
            _route(section, names, default_access, known, problems),
            rate_limits=named_limits(section, limits, problems),
        )
        for section in sections
    )


def _route(
    section: Section, backend_names: list[str], default_access: Access, providers: list[str], problems: Problems
) -> Route:
    match = section.section("match")
    weighted = []
    for entry in section.sections("backends"):
        check_known(entry.text("name"), backend_names, "backend", entry, "name", problems)
        weighted.append((entry.text("name"), entry.integer("weight", 1)))
    if weighted and not any(weight for _, weight in weighted):
        problems.error(section.place("backends"), "no backend has a weight, so nothing could be served")
    for key in ("path", "pathPrefix"):
        if key in match and not match.text(key).startswith("/"):
            problems.error(match.place(key), "a path begins with /")
    if "method" in match and "service" not in match:
        problems.error(match.place("method"), "a method stands beside its service", 'add "service"')
    for name, place in match.texts("authorities"):
        if ":" in name or name != name.lower() or "*" in name.removeprefix("*.").removeprefix("*"):
            problems.error(place, f'"{name}" is not a host name in small letters, *.example.com or *, without a port')
    headers = match.sections("headers")
    for header in headers:
        check_header_name(header.text("name"), header.place("name"), problems)
    return Route(
        section.text("name"),
        tuple(weighted),
        authorities=tuple(text for text, _ in match.texts("authorities")),
        path=match.optional_text("path"),
        path_prefix=match.optional_text("pathPrefix"),
        service=match.optional_text("service"),
        method=match.optional_text("method"),
        headers=tuple(
            HeaderMatch(
                header.text("name").lower(),
                header.optional_text("exact"),
                header.optional_text("prefix"),
                header.flag("invert"),
            )
            for header in headers
        ),
        timeout=section.number("timeout"),
        idle_timeout=section.number("idleTimeout"),
        access=access(section.section("authentication"), providers, problems)
        if "authentication" in section
        else default_access,
        retry=retry(section.section("retry"), problems) if "retry" in section else None,
    )


def requirements(section: Section, providers: list[str], problems: Problems) -> tuple[Requirement, ...]:
    found = []
    for entry in section.sections("requirements"):
        check_known(entry.text("provider"), providers, "provider", entry, "provider", problems)
        found.append(Requirement(entry.text("provider"), tuple(text for text, _ in entry.texts("audiences"))))
    return tuple(found)


def access(section: Section, providers: list[str], problems: Problems) -> Access:
    found = requirements(section, providers, problems)
    return Access(found, bool(found) and section.flag("allowWithoutCredential"))
