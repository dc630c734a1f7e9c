"""Fields of what is only kept, so that others can refer to it: networks, subnetworks, firewalls, security policies."""

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
    "firewalls",
    honoured=NAMED,
    stored={
        **plain("description destinationRanges direction disabled logConfig params priority sourceRanges"),
        **plain("sourceServiceAccounts sourceTags targetServiceAccounts targetTags"),
        "allowed": "or `denied`; nothing is kept out",
        "denied": "or `allowed`; nothing is kept out",
        "network": KNOWN,
    },
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
