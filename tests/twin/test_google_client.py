"""google-cloud-compute as the client: a whole load balancer made, read, changed and taken down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import compute_v1

from tests.twin.conftest import PROJECT, ZONE, Client


class Google:
    """Clients of one twin, made as they are asked for."""

    def __init__(self, base: str) -> None:
        self._options = {"credentials": AnonymousCredentials(), "client_options": {"api_endpoint": base}}  # type: ignore[no-untyped-call]

    def __getattr__(self, name: str) -> Any:
        return getattr(compute_v1, f"{name}Client")(**self._options)


def done(operation: compute_v1.Operation) -> None:
    assert operation.status == compute_v1.Operation.Status.DONE
    assert not operation.error.errors


def make(google: Google) -> None:
    done(google.GlobalAddresses.insert_unary(project=PROJECT, address_resource={"name": "vip"}))
    check = {"name": "check", "type_": "GRPC", "grpc_health_check": {"port": 50051}}
    done(google.HealthChecks.insert_unary(project=PROJECT, health_check_resource=check))
    groups = google.NetworkEndpointGroups
    group = {"name": "group", "network_endpoint_type": "GCE_VM_IP_PORT", "default_port": 50051}
    done(groups.insert_unary(project=PROJECT, zone=ZONE, network_endpoint_group_resource=group))
    members = {"network_endpoints": [{"ip_address": "10.0.0.1", "instance": "vm-1"}]}
    done(
        groups.attach_network_endpoints_unary(
            project=PROJECT,
            zone=ZONE,
            network_endpoint_group="group",
            network_endpoint_groups_attach_endpoints_request_resource=members,
        )
    )
    made = groups.get(project=PROJECT, zone=ZONE, network_endpoint_group="group")
    assert made.size == 1
    backend = {
        "group": made.self_link,
        "balancing_mode": "RATE",
        "max_rate_per_endpoint": 100.0,
        "capacity_scaler": 1.0,
    }
    service = {
        "name": "service",
        "protocol": "HTTP2",
        "load_balancing_scheme": "EXTERNAL_MANAGED",
        "health_checks": [f"projects/{PROJECT}/global/healthChecks/check"],
        "backends": [backend],
    }
    done(google.BackendServices.insert_unary(project=PROJECT, backend_service_resource=service))
    link = google.BackendServices.get(project=PROJECT, backend_service="service").self_link
    done(google.UrlMaps.insert_unary(project=PROJECT, url_map_resource={"name": "map", "default_service": link}))
    proxy = {"name": "proxy", "url_map": f"projects/{PROJECT}/global/urlMaps/map"}
    done(google.TargetHttpProxies.insert_unary(project=PROJECT, target_http_proxy_resource=proxy))
    rule = {
        "name": "rule",
        "target": f"projects/{PROJECT}/global/targetHttpProxies/proxy",
        "I_p_address": f"projects/{PROJECT}/global/addresses/vip",
        "port_range": "80",
        "load_balancing_scheme": "EXTERNAL_MANAGED",
    }
    done(google.GlobalForwardingRules.insert_unary(project=PROJECT, forwarding_rule_resource=rule))


def change(google: Google) -> None:
    services = google.BackendServices
    before = services.get(project=PROJECT, backend_service="service")
    patch = compute_v1.BackendService(timeout_sec=60, fingerprint=before.fingerprint)
    done(services.patch_unary(project=PROJECT, backend_service="service", backend_service_resource=patch))
    with pytest.raises(exceptions.PreconditionFailed):
        services.patch_unary(project=PROJECT, backend_service="service", backend_service_resource=patch)
    after = services.get(project=PROJECT, backend_service="service")
    assert (after.timeout_sec, after.backends) == (60, before.backends)
    scopes = {scope for scope, found in services.aggregated_list(project=PROJECT) if found.backend_services}
    assert scopes == {"global"}


def take_down(google: Google) -> None:
    with pytest.raises(exceptions.BadRequest, match="already being used"):
        google.BackendServices.delete_unary(project=PROJECT, backend_service="service")
    done(google.GlobalForwardingRules.delete_unary(project=PROJECT, forwarding_rule="rule"))
    done(google.TargetHttpProxies.delete_unary(project=PROJECT, target_http_proxy="proxy"))
    done(google.UrlMaps.delete_unary(project=PROJECT, url_map="map"))
    done(google.BackendServices.delete_unary(project=PROJECT, backend_service="service"))
    with pytest.raises(exceptions.NotFound):
        google.BackendServices.get(project=PROJECT, backend_service="service")


async def test_the_whole_chain_with_googles_library(client: Client) -> None:
    google = Google(client.base)
    for step in (make, change, take_down):
        await asyncio.to_thread(step, google)
