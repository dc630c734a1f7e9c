"""Fields of backend services and of their backends."""

from __future__ import annotations

from infra.twin.fields.table import FINGERPRINT, NAMED, SERVER, Table, plain

_NO_CACHE = "nothing is cached"
_OTHER_KINDS = "of other kinds of load balancers"

BACKEND_SERVICE = Table(
    "BackendService",
    "backendServices",
    honoured={
        **NAMED,
        **FINGERPRINT,
        "backends": "",
        "circuitBreakers": "counted by each client region for itself",
        "connectionDraining": "calls at a detached endpoint have `drainingTimeoutSec`; 0: they are cut off",
        "consistentHash": "with `localityLbPolicy` RING_HASH or MAGLEV",
        "healthChecks": "one; endpoints of a service without one count as healthy",
        "loadBalancingScheme": "EXTERNAL, the classic one, refuses what it does not know",
        "localityLbPolicy": "ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV; others mean ROUND_ROBIN. Without it"
        " MAGLEV where there is a `sessionAffinity`, else ROUND_ROBIN",
        "logConfig": "",
        "outlierDetection": "by each client region for itself",
        "protocol": "HTTPS, HTTP2: HTTP/2 over TLS, without SNI, not verified. HTTP, H2C, GRPC: HTTP/2 in clear. The"
        " twin speaks no HTTP/1.1 to backends",
        "sessionAffinity": "HEADER_FIELD, HTTP_COOKIE and CLIENT_IP with RING_HASH or MAGLEV; others have no effect",
        "timeoutSec": "of a whole call, streams too; the longest where a route has several services and no `timeout`",
    },
    stored={
        "affinityCookieTtlSec": "no cookies are made",
        "cdnPolicy": _NO_CACHE,
        "compressionMode": "nothing is compressed",
        "connectionTrackingPolicy": _OTHER_KINDS,
        "customMetrics": "",
        "customRequestHeaders": "no header is added",
        "customResponseHeaders": "no header is added",
        "description": "",
        "dynamicForwarding": "",
        "enableCDN": _NO_CACHE,
        "externalManagedMigrationState": "",
        "externalManagedMigrationTestingPercentage": "",
        "failoverPolicy": _OTHER_KINDS,
        "haPolicy": _OTHER_KINDS,
        "iap": "everyone is let in",
        "ipAddressSelectionPolicy": "an endpoint has one address",
        "localityLbPolicies": "",
        "metadatas": "",
        "network": _OTHER_KINDS,
        "networkPassThroughLbTrafficPolicy": _OTHER_KINDS,
        "orchestrationInfo": "",
        "params": "",
        "port": "that of the endpoint counts",
        "portName": "that of the endpoint counts",
        "securitySettings": "no client certificate is shown to backends",
        "serviceBindings": _OTHER_KINDS,
        "serviceLbPolicy": "WATERFALL_BY_REGION, whatever it says",
        "strongSessionAffinityCookie": "no cookies are made",
        "subsetting": _OTHER_KINDS,
        "tlsSettings": "backends are not verified, and get no SNI",
    },
    refused={"maxStreamDuration": "as Google does for external load balancers"},
    output={
        **SERVER,
        **plain("region usedBy"),
        "edgeSecurityPolicy": "set by `setEdgeSecurityPolicy`; without effect",
        "securityPolicy": "set by `setSecurityPolicy`; without effect",
    },
    only={
        "loadBalancingScheme": ("EXTERNAL", "EXTERNAL_MANAGED"),
        "protocol": ("GRPC", "H2C", "HTTP", "HTTP2", "HTTPS"),
    },
)

_NOT_OF_GROUPS = "not of groups of endpoints"

PARTS = (
    Table(
        "Backend",
        "how much goes where",
        honoured={
            "capacityScaler": "0, or 0.1 to 1, of the capacity; at 0 the group is drained. 0 is refused for the only"
            " backend",
            "group": "a zonal network endpoint group of the same project",
            "maxRate": "requests per second of the whole group, as long as one endpoint is healthy",
            "maxRatePerEndpoint": "requests per second of each healthy endpoint",
            "preference": "PREFERRED groups are filled first, the nearest before the others",
        },
        stored={
            "balancingMode": "",
            "customMetrics": "",
            "description": "",
            "failover": _OTHER_KINDS,
            "orchestrationInfo": "",
            "trafficDuration": "",
            **dict.fromkeys(
                (
                    "maxConnections",
                    "maxConnectionsPerEndpoint",
                    "maxConnectionsPerInstance",
                    "maxInFlightRequests",
                    "maxInFlightRequestsPerEndpoint",
                    "maxInFlightRequestsPerInstance",
                    "maxRatePerInstance",
                    "maxUtilization",
                ),
                _NOT_OF_GROUPS,
            ),
        },
        only={"balancingMode": ("RATE",)},
    ),
    Table(
        "CircuitBreakers",
        "how much at once",
        honoured=plain("maxConnections maxPendingRequests maxRequests maxRetries"),
        stored={"maxRequestsPerConnection": "connections stay"},
    ),
    Table(
        "ConsistentHashLoadBalancerSettings",
        "what a hash is of",
        honoured={
            "httpCookie": "with `sessionAffinity` HTTP_COOKIE",
            "httpHeaderName": "with `sessionAffinity` HEADER_FIELD",
        },
        stored={"minimumRingSize": "rings have the gateway's size"},
    ),
    Table(
        "ConsistentHashLoadBalancerSettingsHttpCookie",
        "a cookie that clients bring",
        honoured={"name": ""},
        stored={"path": "no cookies are made", "ttl": "no cookies are made"},
    ),
    Table(
        "BackendServiceLogConfig",
        "the access log",
        honoured={"enable": "where the twin has a place for its log; all requests that come by the rule are logged"},
        stored={
            "loggingHttpRequestHeaders": "",
            "loggingHttpResponseHeaders": "",
            "optionalFields": "",
            "optionalMode": "",
            "sampleRate": "every request is logged",
        },
    ),
    Table(
        "BackendServiceIAP",
        "identity",
        stored={"enabled": "everyone is let in", "oauth2ClientId": ""},
        output=plain("oauth2ClientSecretSha256"),
        dropped={"oauth2ClientSecret": "a secret"},
    ),
    Table(
        "SecuritySettings",
        "towards backends",
        stored={
            "awsV4Authentication": "requests are not signed",
            "clientTlsPolicy": "no client certificate is shown to backends",
            "subjectAltNames": "backends are not verified",
        },
    ),
    Table(
        "AWSV4Signature",
        "signatures",
        stored=plain("accessKeyId accessKeyVersion originRegion"),
        dropped={"accessKey": "a secret"},
    ),
    Table(
        "BackendServiceCdnPolicy",
        "a cache",
        stored=plain("bypassCacheOnRequestHeaders cacheKeyPolicy cacheMode clientTtl defaultTtl maxTtl")
        | plain("negativeCaching negativeCachingPolicy requestCoalescing serveWhileStale signedUrlCacheMaxAgeSec"),
        output=plain("signedUrlKeyNames"),
    ),
    Table(
        "OutlierDetection",
        "endpoints that fail real calls",
        honoured={
            "baseEjectionTime": "",
            "consecutiveErrors": "",
            "consecutiveGatewayFailure": "the lower of it and `consecutiveErrors` holds for all errors",
            "enforcingConsecutiveErrors": "0 or not; anything over 0 is taken for 100",
            "enforcingConsecutiveGatewayFailure": "0 or not; anything over 0 is taken for 100",
            "enforcingSuccessRate": "0 or not; anything over 0 is taken for 100",
            "interval": "",
            "maxEjectionPercent": "",
            "successRateMinimumHosts": "with `successRateStdevFactor`",
            "successRateRequestVolume": "with `successRateStdevFactor`",
            "successRateStdevFactor": "without it the success rate is not looked at",
        },
    ),
)
