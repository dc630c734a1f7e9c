"""Fields of what is kept so that others can refer to it, networks and security policies, and of firewalls."""

from __future__ import annotations

from infra.twin.fields.table import FINGERPRINT, KNOWN, LABEL_FINGERPRINT, LABELS, NAMED, SERVER, Table, plain

NETWORK = Table(
    "Network",
    "networks",
    honoured=NAMED,
    stored={
        **plain("IPv4Range autoCreateSubnetworks description enableUlaInternalIpv6 internalIpv6Range mtu"),
        **plain("networkFirewallPolicyEnforcementOrder networkProfile params"),
        "routingConfig": "",
    },
    output={
        **SERVER,
        **plain("additionalTags firewallPolicy gatewayIPv4 selfLinkWithId subnetworks"),
        "peerings": "the methods for peerings are not there",
    },
)
SUBNETWORK = Table(
    "Subnetwork",
    "subnetworks",
    honoured={**NAMED, **FINGERPRINT},
    stored={
        **plain("allowSubnetCidrRoutesOverlap description enableFlowLogs externalIpv6Prefix internalIpv6Prefix"),
        **plain("ipCidrRange ipCollection ipv6AccessType logConfig params privateIpGoogleAccess"),
        **plain("privateIpv6GoogleAccess purpose reservedInternalRange resolveSubnetMask role secondaryIpRanges"),
        **plain("stackType"),
        "network": KNOWN,
    },
    output={
        **SERVER,
        **plain("gatewayAddress ipv6CidrRange ipv6GceEndpoint region state systemReservedExternalIpv6Ranges"),
        **plain("systemReservedInternalIpv6Ranges utilizationDetails"),
    },
)
FIREWALL = Table(
    "Firewall",
    "firewalls (honoured with --enforce-firewalls)",
    honoured={
        **NAMED,
        "allowed": "or `denied`; that of TCP counts",
        "denied": "or `allowed`; that of TCP counts",
        "direction": "INGRESS counts",
        "disabled": "it does not count then",
        "network": "that of the endpoints' group",
        "priority": "the lowest number is asked first; where two are the same, `denied`",
        "sourceRanges": "all of 35.191.0.0/16 and 130.211.0.0/22 has to be let in",
        **dict.fromkeys(
            ("sourceServiceAccounts", "sourceTags"),
            "Google's front ends have none, so such a source does not mean them",
        ),
        **dict.fromkeys(
            ("targetServiceAccounts", "targetTags"),
            "who has them is not known: `allowed` counts for every endpoint, `denied` for none",
        ),
    },
    stored={**plain("description logConfig params"), "destinationRanges": "endpoints have real addresses here"},
    output=SERVER,
)
SECURITY_POLICY = Table(
    "SecurityPolicy",
    "securityPolicies",
    honoured={**NAMED, **FINGERPRINT},
    stored={
        **LABELS,
        **plain("adaptiveProtectionConfig advancedOptionsConfig associations ddosProtectionConfig description"),
        **plain("recaptchaOptionsConfig shortName type userDefinedFields"),
        "rules": "a last one that allows everyone is added; all requests are let in",
    },
    output={**SERVER, **LABEL_FINGERPRINT, **plain("parent region")},
)
