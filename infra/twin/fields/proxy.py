"""Fields of certificates and target proxies."""

from __future__ import annotations

from infra.twin.fields.table import FINGERPRINT, NAMED, SERVER, Table, plain

CERTIFICATE = Table(
    "SslCertificate",
    "sslCertificates",
    honoured={
        **NAMED,
        "certificate": "a chain in PEM; the leaf's names decide which certificate a client gets",
        "privateKey": "never given back",
        "selfManaged": "another way to say the same",
        "managed": "signed by the twin's authority once a forwarding rule leads to it; PROVISIONING until then",
        "type": "MANAGED ones are given neither certificate nor key",
    },
    stored={"description": ""},
    output={**SERVER, **plain("expireTime region subjectAlternativeNames")},
)
TARGET_HTTP_PROXY = Table(
    "TargetHttpProxy",
    "targetHttpProxies",
    honoured={**NAMED, **FINGERPRINT, "urlMap": "HTTP/1.1 and HTTP/2 in clear on one port"},
    stored={
        "description": "",
        "httpKeepAliveTimeoutSec": "the gateway's own time holds",
        "proxyBind": "of Cloud Service Mesh",
    },
    output={**SERVER, **plain("region")},
)
TARGET_HTTPS_PROXY = Table(
    "TargetHttpsProxy",
    "targetHttpsProxies",
    honoured={
        **NAMED,
        **FINGERPRINT,
        "sslCertificates": "at most 15; the first is for clients that say no name",
        "urlMap": "HTTP/1.1 and HTTP/2 over TLS",
    },
    stored={
        "authorizationPolicy": "",
        "certificateMap": "a proxy that has nothing else serves nothing",
        "description": "",
        "httpKeepAliveTimeoutSec": "the gateway's own time holds",
        "proxyBind": "of Cloud Service Mesh",
        "quicOverride": "no HTTP/3",
        "serverTlsPolicy": "clients are not asked for certificates",
        "sslPolicy": "TLS 1.2 and 1.3",
        "tlsEarlyData": "there is none",
    },
    output={**SERVER, **plain("region")},
)
CERTIFICATE_PARTS = (
    Table(
        "SslCertificateSelfManagedSslCertificate",
        "a certificate that is given",
        honoured={"certificate": "", "privateKey": "never given back"},
    ),
    Table(
        "SslCertificateManagedSslCertificate",
        "a certificate of Google's",
        honoured={"domains": "1 to 100, no wildcards; whether they lead anywhere is not asked"},
        output={"domainStatus": "PROVISIONING, then ACTIVE", "status": "PROVISIONING, then ACTIVE"},
    ),
)
