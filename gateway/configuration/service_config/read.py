"""From a checked google.api.Service to an API definition, its backends and its providers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from ..api.bindings import read_http_rule
from ..api.definition import (
    ApiDefinition,
    AuthenticationRule,
    BackendRule,
    DescriptorSet,
    Service,
    UsageRule,
)
from ..backend_url import backend_of, parse_backend_url
from ..document import Node
from ..model import Backend, BackendTls, Provider
from ..problems import Place, Problems
from ..section import Section
from .fields import SERVICE
from .providers import read_providers, read_requirements

_DESCRIPTOR_FILE_TYPES = ("FILE_DESCRIPTOR_SET_PROTO", "4")
"""google.api.servicemanagement.v1.ConfigFile.FileType, by name or number."""


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """One file of a service configuration, which may be given in several, as to `gcloud endpoints services deploy`."""

    name: str
    root: Node


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """`usage_place` is where `usage` stands, or the first file where it is absent."""

    name: str
    config_id: str
    api: ApiDefinition
    backends: tuple[Backend, ...]
    providers: tuple[Provider, ...]
    usage_place: Place


def read_service_config(
    files: Sequence[ServiceFile],
    problems: Problems,
    backend_tls: BackendTls | None = None,
    any_audience: bool = False,
) -> ServiceConfig:
    """The files together (at least one): their lists are joined in the files' order, what is single is given once.

    What is wrong goes to `problems`; the result is then incomplete. `backend_tls` applies to addresses over TLS.
    `any_audience` drops the default audience of providers that name none.
    """
    parts = [_checked(file, problems) for file in files]
    whole = Place(files[0].name)
    name = _single(parts, "name", problems)
    if not name:
        problems.error(whole, '"name" is missing')
    if not any("apis" in part for part in parts):
        problems.error(whole, '"apis" is missing')
    for part in parts:
        if part.integer("config_version", 3) != 3:
            problems.error(part.place("config_version"), "only config_version 3 is supported")
    authentication = [part.section("authentication") for part in parts]
    providers = read_providers(
        [provider for section in authentication for provider in section.sections("providers")],
        () if any_audience else (f"https://{name}",),
        problems,
    )
    backend_rules = [rule for part in parts for rule in part.section("backend").sections("rules")]
    backends, backend_rules_read = _backends(backend_rules, backend_tls or BackendTls(), problems)
    api = ApiDefinition(
        services=tuple(_service(section, problems) for part in parts for section in part.sections("apis")),
        authentication_rules=_authentication_rules(
            [rule for section in authentication for rule in section.sections("rules")], providers, problems
        ),
        usage_rules=tuple(_usage_rule(rule) for part in parts for rule in part.section("usage").sections("rules")),
        http_rules=tuple(
            read_http_rule(rule, "additional_bindings", "response_body")
            for part in parts
            for rule in part.section("http").sections("rules")
        ),
        backend_rules=backend_rules_read,
        descriptors=tuple(found for part in parts for found in _descriptors(part.section("source_info"))),
    )
    usage_place = next((part.place("usage") for part in parts if "usage" in part), whole)
    return ServiceConfig(name, _single(parts, "id", problems), api, backends, providers, usage_place)


def _checked(file: ServiceFile, problems: Problems) -> Section:
    checked = SERVICE.check(file.root, Place(file.name, file.root.line), problems)
    return Section(checked or Node(file.root.line, {}), Place(file.name))


def _single(parts: Sequence[Section], key: str, problems: Problems) -> str:
    """The value of a key that all files that have it must agree on."""
    found = [part for part in parts if part.text(key)]
    for part in found[1:]:
        if part.text(key) != found[0].text(key):
            problems.error(part.place(key), f'is "{part.text(key)}" here and "{found[0].text(key)}" in {found[0].at}')
    return found[0].text(key) if found else ""


def _service(section: Section, problems: Problems) -> Service:
    methods = tuple(method.text("name") for method in section.sections("methods"))
    name = section.text("name")
    if "methods" in section and not methods:
        problems.warning(section.place("methods"), f"is empty, as if it were absent: every method of {name} is meant")
    return Service(name, section.place("name"), methods)


def _authentication_rules(
    rules: Sequence[Section], providers: tuple[Provider, ...], problems: Problems
) -> tuple[AuthenticationRule, ...]:
    return tuple(
        AuthenticationRule(
            rule.text("selector"),
            rule.place("selector"),
            read_requirements(rule, providers, problems),
            rule.flag("allow_without_credential"),
        )
        for rule in rules
        if "selector" in rule
    )


def _usage_rule(rule: Section) -> UsageRule:
    anonymous = rule.flag("allow_unregistered_calls") or rule.flag("skip_service_control")
    return UsageRule(rule.text("selector", "*"), rule.place("selector"), anonymous)


def _backends(
    sections: Sequence[Section], tls: BackendTls, problems: Problems
) -> tuple[tuple[Backend, ...], tuple[BackendRule, ...]]:
    backends: dict[str, Backend] = {}
    rules = []
    for rule in sections:
        backend = _backend(rule, tls, problems)
        if backend is not None:
            backends[backend.name] = backend
        deadline = rule.number("deadline")
        rules.append(
            BackendRule(
                rule.text("selector", "*"),
                rule.place("selector"),
                backend.name if backend else None,
                deadline if deadline > 0 else None,
            )
        )
    return tuple(backends.values()), tuple(rules)


def _backend(rule: Section, tls: BackendTls, problems: Problems) -> Backend | None:
    address = rule.text("address")
    if not address:
        return None
    if rule.text("path_translation") == "CONSTANT_ADDRESS":
        problems.error(
            rule.place("path_translation"),
            "cannot be honoured: a gRPC backend is called at the method's own path",
            "remove it, or write APPEND_PATH_TO_ADDRESS",
        )
    try:
        url = parse_backend_url(address, http2=rule.text("protocol") == "h2")
    except ValueError as error:
        problems.error(rule.place("address"), str(error))
        return None
    if rule.text("protocol") == "http/1.1":
        problems.error(rule.place("protocol"), "HTTP/1.1 backends are not supported yet", "write h2")
    if not rule.flag("disable_auth"):
        problems.warning(
            rule.place("address"),
            "calls go to this address without an identity token of the gateway's own",
            "set disable_auth: true to say that the backend needs none",
        )
    return backend_of(address, url, tls, url.host or None)


def _descriptors(source_info: Section) -> tuple[DescriptorSet, ...]:
    return tuple(
        DescriptorSet(base64.b64decode(file.text("file_contents")), file.place("file_contents"))
        for file in source_info.sections("source_files")
        if file.node.value and _is_descriptor(file)
    )


def _is_descriptor(file: Section) -> bool:
    kind = file.text("file_type") or str(file.integer("file_type"))
    return kind in _DESCRIPTOR_FILE_TYPES and bool(file.text("file_contents"))
