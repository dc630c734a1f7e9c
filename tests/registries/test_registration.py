"""`tidegate register`: how a server stays announced, in virtual time, and what the command line says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from infra.cli.register import parse
from infra.registration.announcement import RegistrationError, keep_announced
from tests.support.processes import Program, tidegate

pytestmark = pytest.mark.asyncio


class Registry:
    """Records what it is told; `down` refuses everything, `has` is whether the server stands there."""

    interval = 5.0

    def __init__(self) -> None:
        self.down = ""
        self.has = False
        self.told: list[tuple[float, str]] = []
        self.slow = 0.0

    def __str__(self) -> str:
        return "10.0.0.1:1 in a registry"

    async def _tell(self, what: str) -> None:
        self.told.append((asyncio.get_running_loop().time(), what))
        await asyncio.sleep(self.slow)
        if self.down:
            raise RegistrationError(self.down)

    async def announce(self) -> None:
        await self._tell("announce")
        self.has = True

    async def refresh(self) -> bool:
        await self._tell("refresh")
        return self.has

    async def withdraw(self) -> None:
        await self._tell("withdraw")
        self.has = False


async def live(registry: Registry, script: Callable[[], Awaitable[None]]) -> tuple[bool, list[str]]:
    """Whether it was withdrawn at the end of `script`, and what a person was told."""
    stop, said = asyncio.Event(), list[str]()
    life = asyncio.create_task(keep_announced(registry, stop, said.append))
    await script()
    stop.set()
    return await life, said


@pytest.mark.looptime
async def test_a_server_is_announced_refreshed_and_withdrawn() -> None:
    registry = Registry()

    async def script() -> None:
        await asyncio.sleep(11)
        assert registry.has

    assert await live(registry, script) == (
        True,
        ["Announced 10.0.0.1:1 in a registry.", "Withdrew 10.0.0.1:1 in a registry."],
    )
    assert registry.told == [(0, "announce"), (5, "refresh"), (10, "refresh"), (11, "withdraw")]


@pytest.mark.looptime
async def test_what_the_registry_lost_is_announced_again_at_once() -> None:
    registry = Registry()

    async def script() -> None:
        await asyncio.sleep(7)
        registry.has = False
        await asyncio.sleep(4)
        assert registry.has

    _, said = await live(registry, script)
    assert registry.told[2:4] == [(10, "refresh"), (10, "announce")]
    assert said[1] == "The registry has lost 10.0.0.1:1 in a registry; it is announced again."


@pytest.mark.looptime
async def test_a_registry_that_is_down_is_asked_again_and_told_of_once() -> None:
    registry = Registry()
    registry.down = "etcd cannot be reached."

    async def script() -> None:
        await asyncio.sleep(60)
        registry.down = ""
        await asyncio.sleep(10)
        assert registry.has

    withdrawn, said = await live(registry, script)
    assert withdrawn
    assert said[:2] == ["etcd cannot be reached. Trying again.", "Announced 10.0.0.1:1 in a registry."]
    gaps = [later - earlier for (earlier, _), (later, _) in zip(registry.told, registry.told[1:-1], strict=False)]
    assert gaps[0] < 1
    assert max(gaps) == pytest.approx(registry.interval, abs=0.01)


@pytest.mark.looptime
async def test_an_outage_is_told_of_with_its_end() -> None:
    registry = Registry()

    async def script() -> None:
        await asyncio.sleep(1)
        registry.down = "etcd cannot be reached."
        await asyncio.sleep(30)
        registry.down = ""
        await asyncio.sleep(10)

    _, said = await live(registry, script)
    assert said[1:3] == [
        "etcd cannot be reached. Trying again.",
        "The registry answers again: 10.0.0.1:1 in a registry is announced.",
    ]


@pytest.mark.looptime
async def test_the_end_does_not_wait_for_a_registry_that_hangs() -> None:
    registry = Registry()
    registry.slow = 1000.0

    async def script() -> None:
        await asyncio.sleep(1)

    withdrawn, said = await live(registry, script)
    assert not withdrawn
    assert asyncio.get_running_loop().time() == pytest.approx(6.0)
    assert "could not be withdrawn in time" in said[-1]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["etcd", "svc", "--address", ":1"], "POD_IP is not set"),
        (["etcd", "svc", "--address", "10.0.0.1"], "neither host:port nor :port"),
        (["etcd", "svc", "--address", "10.0.0.1:0"], "neither host:port nor :port"),
        (["etcd", "svc", "--address", "a:1", "--ttl", "1s"], "shorter than 3s"),
        (["etcd", "svc", "--address", "a:1", "--weight", "nan"], "whole number"),
        (["etcd", "svc", "--address", "a:1", "--metadata", "x"], "not KEY=VALUE"),
        (["etcd", "svc", "--address", "a:1", "--registry", "ftp://x"], "no address of a registry"),
        (["etcd", "svc", "--address", "a:1", "--tag", "x"], "--tag is Consul's"),
        (["consul", "a/b", "--address", "a:1"], "no name of a service"),
        (["zookeeper", "svc", "--address", "a:1"], "invalid choice"),
    ],
)
async def test_a_wrong_call_says_what_is_wrong(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, {})
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


async def test_the_help_has_an_example(tmp_path: Path) -> None:
    with Program(tidegate("register", "--help"), tmp_path) as program:
        assert program.finish() == 0
        assert "tidegate register etcd services/echo --address" in program.stdout
