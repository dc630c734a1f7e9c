"""The load generator: calls Echo from every client region in turn, evenly paced, and remembers what failed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import grpc

from infra.load.kinds import Kind, kind_of
from infra.load.pace import Pace
from infra.load.tally import Tally
from infra.sample import ECHO
from infra.sample.messages import method_of
from infra.sample.server import HOSTNAME_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AUTHORITY = "api.tidegate.test"
DEADLINE_SECONDS = 2.0
MAX_FAILURES = 100_000
"""That are remembered one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`targets` are `host:port` by client region, `rate` the calls a second of all regions together.

    `certificate`: PEM of the authority to trust; None speaks cleartext. `token` is asked before each call; "" for none.
    """

    targets: Mapping[str, str]
    rate: float
    certificate: bytes | None
    token: Callable[[], str]
    deadline: float = DEADLINE_SECONDS
    authority: str = AUTHORITY


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed. `started` and `ended` are seconds of `time.monotonic`, `region` is the client's."""

    region: str
    started: float
    ended: float
    kind: Kind
    code: str
    message: str


class Load:
    """`async with Load(settings) as load`: calls are sent until the end of the block, which waits for the last answer.

    `failures` has every call that failed so far, in the order in which they ended, the first MAX_FAILURES of them;
    `sent`, `ok` and `failed` count all; `left_out` counts calls that were due while this process got no CPU time.
    `last_answers` has the time of each pod's last answer (`time.monotonic`).
    """

    def __init__(self, settings: Settings) -> None:
        """ValueError: no target, or no rate."""
        if not settings.targets:
            raise ValueError("a load needs a target at least")
        self._settings = settings
        self._pace = Pace(settings.rate, 0.0)
        self._tallies = {region: Tally() for region in settings.targets}
        self._calls: set[asyncio.Task[None]] = set()
        self.failures: list[Failure] = []
        self.last_answers: dict[str, float] = {}
        self.sent = self.ok = self.failed = self.left_out = 0

    async def __aenter__(self) -> Self:
        self._clients = [_Client(region, address, self._settings) for region, address in self._settings.targets.items()]
        self._sending = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sending
        # None lasts longer than its deadline.
        await asyncio.gather(*self._calls)
        for client in self._clients:
            await client.close()

    def take(self) -> dict[str, Tally]:
        """By client region, what has happened since the last time."""
        taken = self._tallies
        self._tallies = {region: Tally() for region in taken}
        return taken

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        clients = itertools.cycle(self._clients)
        self._pace = Pace(self._settings.rate, loop.time())
        while True:
            await asyncio.sleep(max(0.0, self._pace.next - loop.time()))
            due, left_out = self._pace.due(loop.time())
            self.left_out += left_out
            for client in itertools.islice(clients, due):
                call = asyncio.create_task(self._call(client))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    async def _call(self, client: _Client) -> None:
        self.sent += 1
        self._tallies[client.region].sent += 1
        started = time.monotonic()
        try:
            pod = await client.call()
        except grpc.aio.AioRpcError as error:
            self._fail(client.region, started, error)
            return
        self.ok += 1
        self.last_answers[pod] = time.monotonic()
        self._tallies[client.region].answered(pod, self.last_answers[pod] - started)

    def _fail(self, region: str, started: float, error: grpc.aio.AioRpcError) -> None:
        code, message = error.code().name, error.details() or ""
        failure = Failure(region, started, time.monotonic(), kind_of(code, message), code, message)
        self.failed += 1
        self._tallies[region].failures[failure.kind] += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)


class _Client:
    def __init__(self, region: str, address: str, settings: Settings) -> None:
        self.region = region
        self._settings = settings
        options: list[tuple[str, Any]] = [
            ("grpc.default_authority", settings.authority),
            # What the load balancer fails to hide is to be seen.
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if settings.certificate is None:
            self._channel = grpc.aio.insecure_channel(address, options)
        else:
            options.append(("grpc.ssl_target_name_override", settings.authority))
            credentials = grpc.ssl_channel_credentials(settings.certificate)
            self._channel = grpc.aio.secure_channel(address, credentials, options)
        method = method_of(ECHO)
        self._request = method.request(content="hello").SerializeToString()
        self._echo: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = self._channel.unary_unary(method.path)

    async def call(self) -> str:
        """The name of the pod that answered. AioRpcError."""
        token = self._settings.token()
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        calling = self._echo(self._request, timeout=self._settings.deadline, metadata=metadata)
        await calling
        return str(dict(await calling.initial_metadata()).get(HOSTNAME_HEADER, ""))

    async def close(self) -> None:
        await self._channel.close()
