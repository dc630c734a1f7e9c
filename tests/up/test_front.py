"""Waiting for the load balancer: until it is as it should be, or until patience ends with what is missing."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from infra.world.clusters import Cluster
from infra.world.front import Front, FrontError
from infra.world.layout import Block, Layout
from infra.world.twin_pages import TwinError, TwinPages

HOME, OTHER = "us-central1", "europe-west1"
PODS = Layout(Path("/world"), (Cluster(HOME, "us-central1-a", 2),), Block(10)).pods


class Pages:
    """Answers as the twin does; each question gets the next of the answers, and then the last one for ever."""

    def __init__(self, *answers: dict[str, str]) -> None:
        """An answer is the health of endpoints, or for listeners the client regions with whether each is "ready"."""
        self._answers = list(answers)

    async def ask(self, patience: float, what: str) -> object:
        application = web.Application()
        application.router.add_get("/twin/v1/listeners", self._listeners)
        application.router.add_get("/twin/v1/traffic", self._traffic)
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            async with aiohttp.ClientSession() as session:
                front = Front(TwinPages(session, f"http://{host}:{port}"), patience)
                match what:
                    case "listening":
                        return [each.listen for each in await front.listening([HOME, OTHER])]
                    case "serving":
                        await front.serving(PODS)
                    case _:
                        await front.left(PODS[0])
                return None
        finally:
            await runner.cleanup()

    def _next(self) -> dict[str, str]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    async def _listeners(self, _: web.Request) -> web.Response:
        fixed = {"address": "203.0.113.1", "port": 443, "protocol": "HTTPS"}
        listeners = [
            {"clientRegion": region, "listen": f"{region}:8443", "ready": state == "ready", **fixed}
            for region, state in self._next().items()
        ]
        return web.json_response({"listeners": listeners})

    async def _traffic(self, _: web.Request) -> web.Response:
        rates = {"requestsPerSecond": 0.0, "failuresPerSecond": 0.0}
        endpoints = [{"endpoint": address, "health": health, **rates} for address, health in self._next().items()]
        return web.json_response({"services": [{"clientRegion": HOME, "endpoints": endpoints}]})


async def test_listeners_come_in_the_order_of_the_regions_once_all_are_ready() -> None:
    pages = Pages({}, {OTHER: "ready", HOME: "starting"}, {OTHER: "ready", HOME: "ready"})
    assert await pages.ask(60, "listening") == [f"{HOME}:8443", f"{OTHER}:8443"]


async def test_a_region_without_a_listener_is_named() -> None:
    with pytest.raises(FrontError, match=f"serves no clients in {OTHER}"):
        await Pages({HOME: "ready", OTHER: "starting"}).ask(0, "listening")


async def test_pods_serve_once_every_one_is_healthy() -> None:
    first, second = (pod.endpoint for pod in PODS)
    healthy = {first: "HEALTHY", second: "HEALTHY"}
    await Pages({first: "HEALTHY"}, {first: "HEALTHY", second: "UNKNOWN"}, healthy).ask(60, "serving")


async def test_pods_that_do_not_serve_are_named_with_their_health() -> None:
    with pytest.raises(FrontError, match=r"us-central1/0 \(UNHEALTHY\), us-central1/1 \(unknown to it\)"):
        await Pages({PODS[0].endpoint: "UNHEALTHY"}).ask(0, "serving")


async def test_a_pod_is_left_once_the_load_balancer_does_not_have_it() -> None:
    await Pages({PODS[0].endpoint: "HEALTHY"}, {}).ask(60, "left")
    with pytest.raises(FrontError, match="still has us-central1/0"):
        await Pages({PODS[0].endpoint: "HEALTHY"}).ask(0, "left")


async def test_a_twin_that_is_gone_is_an_error() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TwinError, match="fails"):
            await TwinPages(session, "http://127.0.0.1:1").traffic()
