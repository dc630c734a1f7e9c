"""What the core says of endpoints to whoever decides: how their calls ended."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tests.gateway.backends import Backend, Client
from tests.gateway.core import Serving, document

pytestmark = pytest.mark.asyncio


async def abort(context: Any, code: grpc.StatusCode) -> None:
    if code is not grpc.StatusCode.OK:
        await context.abort(code, "as the test asked")


@pytest.mark.parametrize("workers", [1, 4])
async def test_calls_are_counted_by_how_they_ended_over_all_workers(workers: int) -> None:
    ends = [code for code in grpc.StatusCode if code is not grpc.StatusCode.CANCELLED]
    async with Backend() as backend:
        with Serving(document(backend.address), workers) as serving:
            for _ in range(workers):
                async with Client(serving.address) as client:
                    for code in ends:
                        backend.fail = lambda context, code=code: abort(context, code)
                        await client.fail(b"").code()
            erred, failed = 4 * workers, workers
            answered = len(ends) * workers - erred - failed
            await serving.idle()
            assert serving.core.tallies("app") == [(backend.address, answered, erred, failed)]
            with pytest.raises(KeyError):
                serving.core.tallies("nobody")
