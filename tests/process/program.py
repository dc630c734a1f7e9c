"""Runs `gateway.serve` over a fake core as a process of its own: `python -m tests.process.program FOLDER`.

The folder holds `config.json` ({"listener": name, "hang": true}) and `open`, the number of streams that clients have.
With `hang` there is a provider whose keys never arrive.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.configuration.model import Authentication, GatewayConfig, Listener
from gateway.keys.fetcher import KeyDocument
from gateway.lifecycle.log import log_to_standard_error
from gateway.process import Parts
from gateway.serve import serve
from tests.process.fakes import FakeCore, compile_fake, plain_config, provider


@dataclass(frozen=True)
class Read:
    config: GatewayConfig
    warnings: tuple[str, ...] = ("config.json:1: quota: not honoured",)


def main(folder: Path) -> None:
    def load() -> Read:
        written = json.loads((folder / "config.json").read_text())
        config = plain_config(
            listeners=(Listener(written["listener"], "127.0.0.1:0"),),
            authentication=Authentication(providers=(provider(),) if written.get("hang") else ()),
            sources=(folder / "config.json",),
        )
        return Read(config)

    async def hang(source: object, validator: str | None) -> KeyDocument:
        sys.stderr.write('{"message": "fetching"}\n')
        await asyncio.Event().wait()
        raise AssertionError

    def sources(config: GatewayConfig) -> Iterable[Path]:
        return config.sources

    class Core(FakeCore):
        def active_streams(self) -> int:
            return int((folder / "open").read_text())

    log_to_standard_error()
    loaded_at = time.time()
    parts = Parts(open_core=Core, compile_snapshot=compile_fake, fetch=hang)
    asyncio.run(serve(load(), load, sources, loaded_at, parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
