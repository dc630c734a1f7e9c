"""Fields of zonal network endpoint groups and of their endpoints."""

from __future__ import annotations

from infra.twin.fields.table import KNOWN, NAMED, SERVER, Table, plain

_OTHER_GROUPS = "of groups that are not zonal"

ENDPOINT_GROUP = Table(
    "NetworkEndpointGroup",
    "networkEndpointGroups (zonal)",
    honoured={
        **NAMED,
        "defaultPort": "of endpoints that are attached without a port",
        "network": "whose firewall rules hold with `--enforce-firewalls`",
        "networkEndpointType": "GCE_VM_IP_PORT: endpoints name an instance. NON_GCP_PRIVATE_IP_PORT: they name none",
    },
    stored={
        "annotations": "",
        "description": "",
        "subnetwork": KNOWN,
        **dict.fromkeys(("appEngine", "cloudFunction", "cloudRun", "pscData", "pscTargetService"), _OTHER_GROUPS),
    },
    output={**SERVER, **plain("region size zone")},
    only={"networkEndpointType": ("GCE_VM_IP_PORT", "NON_GCP_PRIVATE_IP_PORT")},
)
ENDPOINT = Table(
    "NetworkEndpoint",
    "endpoints, by attachNetworkEndpoints",
    honoured={"ipAddress": "IPv4 or IPv6; on this machine a loopback address", "port": "or the group's `defaultPort`"},
    stored={"instance": "any name after RFC 1035; there are no machines"},
    refused=dict.fromkeys(("clientDestinationPort", "fqdn"), _OTHER_GROUPS)
    | {"ipv6Address": "an endpoint has one address; an IPv6 one may be its `ipAddress`"},
    dropped={"annotations": ""},
)
