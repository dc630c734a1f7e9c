"""`grpc.health.v1` for a grpc.aio server: Check, Watch and List, dependencies, and an end that loses no call.

health = await HealthServer.attach(server, services={"shop.Cart": ["database"]}, checks={"database": Check(ping)})
"""

from __future__ import annotations

from healthcheck.server.checks import Check, CheckReport
from healthcheck.server.health_server import HealthServer

__all__ = ["Check", "CheckReport", "HealthServer"]
