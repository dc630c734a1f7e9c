"""All kinds that the twin knows."""

from __future__ import annotations

from infra.twin.resources.address import ADDRESS
from infra.twin.resources.backend_service import BACKEND_SERVICE
from infra.twin.resources.certificate import CERTIFICATE
from infra.twin.resources.endpoint_group import ENDPOINT_GROUP
from infra.twin.resources.forwarding_rule import FORWARDING_RULE
from infra.twin.resources.health_check import HEALTH_CHECK
from infra.twin.resources.kind import Kind
from infra.twin.resources.network import FIREWALL, NETWORK, SECURITY_POLICY, SUBNETWORK
from infra.twin.resources.proxy import TARGET_HTTP_PROXY, TARGET_HTTPS_PROXY
from infra.twin.resources.url_map import URL_MAP

KINDS: tuple[Kind, ...] = (
    ADDRESS,
    BACKEND_SERVICE,
    CERTIFICATE,
    ENDPOINT_GROUP,
    FIREWALL,
    FORWARDING_RULE,
    HEALTH_CHECK,
    NETWORK,
    SECURITY_POLICY,
    SUBNETWORK,
    TARGET_HTTP_PROXY,
    TARGET_HTTPS_PROXY,
    URL_MAP,
)

BY_COLLECTION = {kind.collection: kind for kind in KINDS}
"""By the collection in URLs."""

BY_METHODS = {kind.methods: kind for kind in KINDS}
"""By the discovery document's name of the collection."""

AGGREGATED = {**BY_METHODS, **BY_COLLECTION}
"""By either: lists of all scopes stand under the collection's name in URLs, also where the global one has another."""
