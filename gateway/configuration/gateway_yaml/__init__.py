"""Our own configuration file, `gateway.yaml` (`apiVersion: tidegate.dev/v1`, `kind: Gateway`)."""

from __future__ import annotations

from .fields import API_VERSION, KIND
from .read import GatewayFile, check_guarded_routes, read_gateway_file
from .schema import gateway_schema

__all__ = ["API_VERSION", "KIND", "GatewayFile", "check_guarded_routes", "gateway_schema", "read_gateway_file"]
