"""`tidegate gateway`: the front container's process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterable, Sequence


def main(argv: Sequence[str]) -> int:
    """Runs the gateway with the arguments after `tidegate gateway`; returns the exit status.

    0: drained after a signal, or only asked for help.
    1: the configuration is wrong or cannot be served; each reason is a line on stderr.
    130: a signal came before anything was served.
    """
    from gateway.configuration import ConfigurationError, load
    from gateway.configuration.help import answer_help
    from gateway.lifecycle.descriptors import raise_descriptor_limit
    from gateway.lifecycle.log import log_to_standard_error
    from gateway.problems import GatewayError
    from gateway.serve import serve
    from gateway.snapshot import sources

    if answer_help(argv):
        return 0
    loaded_at = time.time()
    try:
        loaded = load(argv, os.environ)
    except ConfigurationError as error:
        return _refuse(error.problems)
    log_to_standard_error(logging.DEBUG if loaded.config.debug else logging.INFO)
    raise_descriptor_limit()
    try:
        asyncio.run(serve(loaded, lambda: load(argv, os.environ), sources, loaded_at))
    except GatewayError as error:
        return _refuse(error.problems)
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130
    return 0


def _refuse(problems: Iterable[object]) -> int:
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1
