"""Runs `gateway.serve` over a fake core as a process of its own: `python -m tests.process.program FOLDER`.

The folder holds `config.json` ({"listener": name}), and `open`: how many streams clients have open.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.configuration.model import GatewayConfig, Listener
from gateway.lifecycle.log import log_to_standard_error
from gateway.process import Parts
from gateway.serve import serve
from tests.process.fakes import FakeCore, compile_fake, plain_config


@dataclass(frozen=True)
class Read:
    config: GatewayConfig
    warnings: tuple[str, ...] = ("config.json:1: quota: not honoured",)


def main(folder: Path) -> None:
    def load() -> Read:
        name = json.loads((folder / "config.json").read_text())["listener"]
        return Read(plain_config(listeners=(Listener(name, "127.0.0.1:0"),), sources=(folder / "config.json",)))

    def sources(config: GatewayConfig) -> Iterable[Path]:
        return config.sources

    class Core(FakeCore):
        def active_streams(self) -> int:
            return int((folder / "open").read_text())

    log_to_standard_error()
    loaded_at = time.time()
    asyncio.run(serve(load(), load, sources, loaded_at, Parts(open_core=Core, compile_snapshot=compile_fake)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
