"""Several pieces of work at once, which fail together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")


async def together(*work: Coroutine[Any, Any, Result]) -> list[Result]:
    """Their results in order; the first that raises ends all others, and is raised once they have ended."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancelled(*tasks)


async def unless(failing: Coroutine[Any, Any, Exception], work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, unless `failing` returns first, whose result is then raised."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(failing)
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            raise waiting.result()
        return working.result()
    finally:
        await cancelled(working, waiting)


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancels what has not ended, and waits until everything has."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
