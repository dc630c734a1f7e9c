"""What an operator writes (flags, google.api.Service, gateway.yaml) and the one model that it becomes."""

from __future__ import annotations

from .load import Loaded, load, load_file
from .model import GatewayConfig
from .problems import ConfigurationError, Problem

__all__ = ["ConfigurationError", "GatewayConfig", "Loaded", "Problem", "load", "load_file"]
