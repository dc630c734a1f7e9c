"""A test that loses a region: `pytest docs/examples/regions-in-pytest`, with tidegate installed."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc

from infra.sample import ECHO
from infra.sample.messages import method_of

if TYPE_CHECKING:
    from infra.world.blocking import BlockingWorld

HOME, OTHER = "us-central1", "europe-west1"


def regions_that_answer(world: BlockingWorld, calls: int = 20) -> Counter[str]:
    """Calls Echo as a client in HOME does; how many calls each region answered. grpc.RpcError: one of them failed."""
    path, request, response = method_of(ECHO)
    credentials = grpc.ssl_channel_credentials(world.authority.read_bytes())
    options = [("grpc.ssl_target_name_override", world.host), ("grpc.default_authority", world.host)]
    metadata = [("authorization", f"Bearer {world.token()}")]
    answered: Counter[str] = Counter()
    with grpc.secure_channel(world.listeners[HOME], credentials, options) as channel:
        echo: Any = channel.unary_unary(
            path, request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )
        for _ in range(calls):
            _, call = echo.with_call(request(content="hello"), metadata=metadata, timeout=5)
            pod = str(dict(call.initial_metadata())["hostname"])
            answered[pod.partition("/")[0]] += 1
    return answered


def wait_for_answers_of(world: BlockingWorld, region: str, seconds: float = 20.0) -> None:
    """Until this region alone answers. grpc.RpcError: a call failed on the way there."""
    deadline = time.monotonic() + seconds
    while (answered := set(regions_that_answer(world))) != {region}:
        assert time.monotonic() < deadline, f"{answered} answer, not {region} alone"


def test_the_nearest_region_answers(tidegate_world: BlockingWorld) -> None:
    assert set(regions_that_answer(tidegate_world)) == {HOME}


def test_a_region_that_does_not_serve_is_left_and_found_again(tidegate_world: BlockingWorld) -> None:
    tidegate_world.fault("not-serving", HOME)
    wait_for_answers_of(tidegate_world, OTHER)
    tidegate_world.heal(HOME)
    wait_for_answers_of(tidegate_world, HOME)


def test_a_region_is_drained_without_a_failed_call(tidegate_world: BlockingWorld) -> None:
    tidegate_world.drain(HOME)
    wait_for_answers_of(tidegate_world, OTHER)
