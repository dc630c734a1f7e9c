from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

LONG_SECONDS = 60.0
"""Only a test that fails waits for so long."""


def wait_for(what: str, look: Callable[[], Result], seconds: float = LONG_SECONDS) -> Result:
    """Calls `look` until it returns something true, and returns that. AssertionError when it never does."""
    deadline = time.monotonic() + seconds
    while True:
        result = look()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.02)
