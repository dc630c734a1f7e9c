"""What the twin's own pages say of the traffic."""

from __future__ import annotations

from typing import Any

from healthcheck.state import Verdict
from infra.twin.front_end.chain import Service
from infra.twin.front_end.front_end import Front, FrontEnd

Json = dict[str, Any]


def listeners(front_end: FrontEnd) -> Json:
    """(address, port, client region) of every forwarding rule, and where that is on this machine."""
    return {"listeners": [_listener(client, front) for client, front in front_end.fronts()]}


def _listener(client: str, front: Front) -> Json:
    listener: Json = {
        "clientRegion": client,
        "forwardingRule": str(front.chain.rule),
        "address": front.chain.address,
        "port": front.chain.port,
        "protocol": front.chain.protocol,
        "listen": front.edge.address,
        "ready": bool(front.edge.address),
    }
    if front.problem:
        listener["problem"] = front.problem
    if front.chain.ignored:
        listener["ignored"] = list(front.chain.ignored)
    return listener


def traffic(front_end: FrontEnd) -> Json:
    """What goes from each client region to each backend service now; rates are requests per second."""
    clients = list(dict.fromkeys(client for client, _ in front_end.fronts()))
    services = front_end.services()
    return {"services": [_flow(front_end, services[name], client) for name in sorted(services) for client in clients]}


def _flow(front_end: FrontEnd, service: Service, client: str) -> Json:
    flow, shares = front_end.flow(service.name, client), front_end.shares(service.name, client)
    verdicts = front_end.verdicts(service.name, client)
    groups = front_end.groups(service)

    def known(address: str) -> Verdict:
        return verdicts.get(address, Verdict.UNKNOWN)

    return {
        "service": service.name,
        "clientRegion": client,
        "requestsPerSecond": round(flow.calls.per_second, 2),
        "groups": [
            {
                "group": group.name,
                "region": group.region,
                "share": round(shares.get(group.name, 0.0), 4),
                "healthy": sum(verdicts.get(address) is Verdict.HEALTHY for address in group.reachable),
                "endpoints": len(group.addresses),
            }
            for group in groups
        ],
        "endpoints": [
            {
                "endpoint": address,
                "group": group.name,
                "health": str(Verdict.UNHEALTHY if address in group.closed else known(address)).upper(),
                "requestsPerSecond": round(flow.ended[address].per_second, 2) if address in flow.ended else 0.0,
                "failuresPerSecond": round(flow.failed[address].per_second, 2) if address in flow.failed else 0.0,
            }
            | ({"problem": group.closed[address]} if address in group.closed else {})
            for group in groups
            for address in group.addresses
        ],
    }
