"""Fields of global addresses and forwarding rules."""

from __future__ import annotations

from infra.twin.fields.table import KNOWN, LABEL_FINGERPRINT, LABELS, NAMED, SERVER, Table, plain

ADDRESS = Table(
    "Address",
    "addresses",
    honoured={
        **NAMED,
        "address": "of 203.0.113.0/24 or 2001:db8::/32; the next free one where none is given",
        "ipVersion": "of which kind the next free one is",
    },
    stored={
        **LABELS,
        **plain("description ipCollection ipv6EndpointType network networkAttachment networkTier prefixLength purpose"),
        **plain("serviceClassId subnetwork"),
        "addressType": "global ones are external here",
    },
    output={**SERVER, **LABEL_FINGERPRINT, **plain("region status users")},
    only={"addressType": ("EXTERNAL",)},
)
FORWARDING_RULE = Table(
    "ForwardingRule",
    "forwardingRules (global)",
    honoured={
        **NAMED,
        "fingerprint": "a PATCH that brings one has to bring the newest; else 412",
        "IPAddress": "an address resource, or a number; the next free one where none is given",
        "ipVersion": "of which kind the next free one is",
        "loadBalancingScheme": "has to be that of the backend services behind it",
        "portRange": "80 or 8080 for HTTP, 443 for HTTPS; each client region has a loopback port for it",
        "target": "a target HTTP or HTTPS proxy",
    },
    stored={
        **LABELS,
        **plain("allPorts allowGlobalAccess allowPscGlobalAccess description IPAddresses ipCollection"),
        **plain("externalManagedBackendBucketMigrationState externalManagedBackendBucketMigrationTestingPercentage"),
        **plain("isMirroringCollector metadataFilters networkTier noAutomateDnsZone serviceDirectoryRegistrations"),
        "IPProtocol": "",
        "backendService": "global external rules have a `target`",
        "network": KNOWN,
        "ports": "`portRange` is what counts",
        "serviceLabel": "",
        "sourceIpRanges": "clients of every address are served",
        "subnetwork": KNOWN,
    },
    output={
        **SERVER,
        **LABEL_FINGERPRINT,
        **plain("attachedExtensions availabilityGroup baseForwardingRule childForwardingRules parentForwardingRule"),
        **plain("pscConnectionId pscConnectionStatus region selfLinkWithId serviceName"),
    },
    only={"IPProtocol": ("TCP",), "loadBalancingScheme": ("EXTERNAL", "EXTERNAL_MANAGED")},
)
