"""No configuration, however odd, ends in anything but a configuration or a list of its faults."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.configuration import ConfigurationError, Loaded, load
from gateway.configuration.flags import FLAGS
from gateway.configuration.gateway_yaml.fields import GATEWAY
from gateway.configuration.service_config.fields import SERVICE
from gateway.configuration.shape import Flag, Listing, Number, Quantity, Record, Shape
from tests.configuration.helpers import BACKEND, describe

SCALARS = st.none() | st.booleans() | st.integers(-5, 70000) | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    [
        "*",
        "a.B.*",
        "a.B.C",
        "a.B",
        "grpc.health.v1.Health",
        "p",
        "https://x",
        "/v1/{x}",
        "127.0.0.1:80",
        "5s",
        "grpc://b:1",
        "",
    ]
)


def like(shape: Shape) -> st.SearchStrategy[Any]:
    """Data of a shape, mostly."""
    if isinstance(shape, Record):
        known = st.fixed_dictionaries({}, optional={name: like(field.shape) for name, field in shape.fields.items()})
        needed = st.fixed_dictionaries(
            {name: like(field.shape) for name, field in shape.fields.items() if field.required}
        )
        return st.one_of(st.builds(lambda one, other: {**one, **other}, known, needed), SCALARS)
    if isinstance(shape, Listing):
        return st.lists(like(shape.item), max_size=3)
    if isinstance(shape, Flag):
        return st.booleans() | SCALARS
    if isinstance(shape, (Number, Quantity)):
        return st.integers(0, 100) | SCALARS
    choices = getattr(shape, "choices", ())
    return st.sampled_from(choices) | WORDS if choices else WORDS | SCALARS


def outcome(arguments: list[str]) -> Loaded | ConfigurationError:
    try:
        return load(arguments, {}, describe=describe)
    except ConfigurationError as error:
        return error


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(like(SERVICE))
def test_service_configurations(document: Any) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "service.json"
        path.write_text(json.dumps(document))
        result = outcome([f"--service_json_path={path}", BACKEND])
    if isinstance(result, Loaded):
        assert result.config.unknown_methods == "reject"
    else:
        assert result.problems


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(like(GATEWAY))
def test_gateway_files(document: Any) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "gateway.yaml"
        path.write_text(json.dumps(document))
        result = outcome([f"--config={path}"])
    assert isinstance(result, Loaded) or result.problems


FLAG_NAMES = st.sampled_from([f"--{flag.name}" for flag in FLAGS] + [flag.short for flag in FLAGS if flag.short])


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(FLAG_NAMES, st.builds("{}={}".format, FLAG_NAMES, st.text(max_size=6) | WORDS), WORDS), max_size=5
    )
)
def test_command_lines(arguments: list[str]) -> None:
    outcome(arguments)
