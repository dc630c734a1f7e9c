"""The front container: what an operator writes becomes snapshots for the core, which moves the bytes.

from gateway import Gateway, GatewayConfig
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.configuration.model import GatewayConfig
    from gateway.process import Gateway

__all__ = ["Gateway", "GatewayConfig"]


def __getattr__(name: str) -> object:
    """Imports what is exported at its first use: `tidegate validate` needs no asyncio."""
    match name:
        case "Gateway":
            from gateway.process import Gateway

            return Gateway
        case "GatewayConfig":
            from gateway.configuration.model import GatewayConfig

            return GatewayConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
