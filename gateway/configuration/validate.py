"""`tidegate validate FILE...`: every fault of configuration files at once, without a network and without serving.

What a file is, is seen from its content: a google.api.Service, a gateway.yaml, or a descriptor set. Descriptor sets
that are given belong to the service configurations that are given with them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.snapshot import CheckSnapshot, native_check_snapshot, snapshot_problems

from .api.definition import ApiDefinition, DescriptorSet
from .api.descriptors import Describe, Described, describe_all, native_describe, read_descriptors
from .api.resolve import resolve_methods
from .command_line import Settings
from .document import Node, read_bytes
from .load import load_with
from .model import Authentication, GatewayConfig
from .problems import Place, Problems, did_you_mean
from .service_config import ServiceFile, read_service_config

FileKind = Literal["google.api.Service", "gateway.yaml", "descriptor set", "unknown"]

USAGE = """\
Usage: tidegate validate [-o text|json] FILE...

Reports every error of service configurations (google.api.Service), gateway.yaml files and descriptor sets as
file:line: path: message. Descriptor sets belong to the service configurations given with them.
Exits 0 without errors, else 1 (2: the arguments are wrong).
"""


SERVICE_KEYS = {"type", "name", "apis", "http", "usage", "authentication", "backend", "config_version", "configVersion"}


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    kind: FileKind
    root: Node | None = None


def main(argv: Sequence[str]) -> int:
    """Runs `tidegate validate` with the arguments after it; returns the exit status: 0, 1 for errors, 2 for misuse."""
    return run(argv, sys.stdout.write, sys.stderr.write)


def run(
    argv: Sequence[str],
    out: Callable[[str], object],
    complain: Callable[[str], object],
    describe: Describe = native_describe,
    check: CheckSnapshot = native_check_snapshot,
) -> int:
    """`main` with its outputs and the core's part given: it reads descriptor sets and checks snapshots."""
    form, paths, fault = _arguments(argv)
    if fault is not None:
        (out if fault == "" else complain)(f"{fault}\n\n{USAGE}" if fault else USAGE)
        return 2 if fault else 0
    problems = Problems()
    files = validate_files(paths, problems, describe, check)
    if form == "json":
        report = {
            "valid": not problems.errors,
            "files": [{"file": str(file.path), "kind": file.kind} for file in files],
            "problems": [problem.as_dict() for problem in problems],
        }
        out(json.dumps(report, indent=2) + "\n")
    else:
        for problem in problems:
            mark = "" if problem.severity == "error" else f"{problem.severity}: "
            out(f"{mark}{problem}\n")
        faulty = {problem.file for problem in problems.errors}
        for file in files:
            if str(file.path) not in faulty:
                out(f"{file.path}: {file.kind}, valid\n")
    return 1 if problems.errors else 0


def _arguments(argv: Sequence[str]) -> tuple[str, list[Path], str | None]:
    form, paths, rest = "text", list[Path](), list(reversed(argv))
    while rest:
        argument = rest.pop()
        if argument in ("-h", "--help"):
            return form, [], ""
        name, equals, value = argument.partition("=")
        if name in ("-o", "--output"):
            form = value if equals else (rest.pop() if rest else "")
            if form not in ("text", "json"):
                return form, [], "-o is text or json"
        elif argument.startswith("-") and argument != "-":
            near = did_you_mean(name, ("--output", "--help"))
            return form, [], f"{name}: unknown flag{' (' + near + ')' if near else ''}"
        else:
            paths.append(Path(argument))
    return form, paths, None if paths else "give at least one file"


def validate_files(
    paths: Sequence[Path],
    problems: Problems,
    describe: Describe = native_describe,
    check: CheckSnapshot = native_check_snapshot,
) -> list[_File]:
    """What each file is; everything that is wrong with them goes to `problems`."""
    files = [_open(path, problems) for path in paths]
    sets = [
        found
        for file in files
        if file.kind == "descriptor set" and (found := read_descriptors(file.path, Place(str(file.path)), problems))
    ]
    described = describe_all(sets, describe, problems)
    for file in files:
        if file.kind == "gateway.yaml":
            before = len(problems.errors)
            config = load_with(Settings.of(config=str(file.path)), problems, describe)
            if len(problems.errors) == before:
                problems.take(snapshot_problems(config, check))
    for parts in _services(files):
        before = len(problems.errors)
        config = _check_service(parts, sets, described, describe, problems)
        if len(problems.errors) == before:
            problems.take(snapshot_problems(config, check))
    return files


def _services(files: Sequence[_File]) -> Iterable[list[ServiceFile]]:
    """The files of each service: by the name that is in them; one without a name belongs to the first that has one."""
    services: dict[str, list[ServiceFile]] = {}
    nameless: list[ServiceFile] = []
    for file in files:
        if file.kind == "google.api.Service" and file.root is not None and isinstance(file.root.value, Mapping):
            name = file.root.value.get("name")
            (services.setdefault(name.node.text, []) if name else nameless).append(
                ServiceFile(str(file.path), file.root)
            )
    first = next(iter(services), "")
    if nameless:
        services.setdefault(first, []).extend(nameless)
    return services.values()


def _check_service(
    parts: Sequence[ServiceFile],
    sets: Sequence[DescriptorSet],
    described: Described,
    describe: Describe,
    problems: Problems,
) -> GatewayConfig:
    """The part of a configuration that stands in a service's files."""
    service = read_service_config(parts, problems)
    definition: ApiDefinition = service.api
    if definition.descriptors:
        described = describe_all((*sets, *definition.descriptors), describe, problems)
    methods = resolve_methods(definition, described, service.usage_place, problems)
    return GatewayConfig(
        listeners=(),
        backends=service.backends,
        methods=methods,
        unknown_methods="reject",
        descriptors=tuple(Path(found.place.file) for found in sets),
        embedded_descriptors=tuple(found.data for found in definition.descriptors),
        authentication=Authentication(service.providers),
        sources=tuple(Path(part.name) for part in parts),
    )


def _open(path: Path, problems: Problems) -> _File:
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        problems.error(Place(str(path)), f"cannot be read: {error.strerror or error}")
        return _File(path, "unknown")
    if path.suffix in (".pb", ".desc", ".binpb", ".protoset") or b"\0" in head or not _is_text(head):
        return _File(path, "descriptor set")
    root = read_bytes(path.read_bytes(), str(path), problems)
    if root is None:
        return _File(path, "unknown")
    keys = set(root.value) if isinstance(root.value, Mapping) else set()
    if keys & {"apiVersion", "kind", "spec"}:
        return _File(path, "gateway.yaml", root)
    if keys & SERVICE_KEYS:
        return _File(path, "google.api.Service", root)
    problems.error(Place(str(path)), "is neither a google.api.Service, a gateway.yaml nor a descriptor set")
    return _File(path, "unknown", root)


def _is_text(head: bytes) -> bool:
    try:
        # The cut may go through a character of up to four bytes.
        head[: max(0, len(head) - 3)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
