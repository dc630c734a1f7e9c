"""What the tests of configurations share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.configuration import ConfigurationError, Loaded, load
from gateway.configuration.document import read_bytes
from gateway.configuration.model import Method
from gateway.configuration.problems import Problem, Problems
from gateway.configuration.service_config import ServiceConfig, ServiceFile, read_service_config

FIXTURES = Path(__file__).parent / "fixtures"
BACKEND = "--backend=grpc://127.0.0.1:50051"

ECHO_AND_REVERSE = {"api.Echo": ["Echo", "Watch"], "api.Reverse": ["Reverse"]}


def describe(data: bytes) -> str:
    """Stands for `tidegate_core.describe_descriptors`: the tests' descriptor sets are its answers, as JSON."""
    text = data.decode("utf-8")
    json.loads(text)
    return text


def descriptors(
    services: Mapping[str, Iterable[str]], bindings: Mapping[str, list[dict[str, str]]] | None = None
) -> bytes:
    """A descriptor set for `describe`; `bindings` are annotations by a method's full name."""
    found = bindings or {}
    document = {
        "services": [
            {
                "name": name,
                "methods": [
                    {
                        "name": method,
                        "client_streaming": False,
                        "server_streaming": False,
                        "input": "api.Content",
                        "output": "api.Content",
                        "http": found.get(f"{name}.{method}", []),
                    }
                    for method in methods
                ],
            }
            for name, methods in services.items()
        ]
    }
    return json.dumps(document).encode()


def load_service(
    directory: Path,
    text: str,
    *flags: str,
    services: Mapping[str, Iterable[str]] | None = None,
    bindings: Mapping[str, list[dict[str, str]]] | None = None,
) -> Loaded:
    """Loads a google.api.Service, with a descriptor set where `services` says what is in it."""
    path = directory / "service.yaml"
    path.write_text(text)
    arguments = [f"--service_json_path={path}", BACKEND, *flags]
    if services is not None:
        (directory / "api.pb").write_bytes(descriptors(services, bindings))
        arguments.append(f"--proto_descriptor={directory / 'api.pb'}")
    return load(arguments, {}, describe=describe)


def service_problems(
    directory: Path, text: str, *flags: str, services: Mapping[str, Iterable[str]] | None = None
) -> list[Problem]:
    """The errors of a google.api.Service; none when it loads."""
    try:
        load_service(directory, text, *flags, services=services)
    except ConfigurationError as error:
        return list(error.problems)
    return []


def read_service(text: str) -> tuple[ServiceConfig, Problems]:
    problems = Problems()
    root = read_bytes(text.encode(), "service.yaml", problems)
    assert root is not None, list(problems)
    return read_service_config([ServiceFile("service.yaml", root)], problems), problems


def errors_of(arguments: Iterable[str], environ: Mapping[str, str] | None = None) -> list[str]:
    """What `load` complains of, one line each; nothing when it loads."""
    try:
        load(
            list(arguments), environ or {}, describe=describe, default_service_config=Path("/nonexistent/service.yaml")
        )
    except ConfigurationError as error:
        return [str(problem) for problem in error.problems]
    return []


def by_name(loaded: Loaded) -> dict[str, Method]:
    return {method.name: method for method in loaded.config.methods}


def said(loaded: Loaded) -> str:
    return "\n".join(str(problem) for problem in loaded.warnings)
