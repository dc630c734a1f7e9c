"""Target proxies: what a forwarding rule's traffic is taken as, and the URL map that it goes by."""

from __future__ import annotations

from collections.abc import Iterable

from infra.twin.discovery.body import Fault
from infra.twin.resources.kind import Json, Kind, Reference, Subject, invalid

MOST_CERTIFICATES = 15


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("description", "")
    resource.setdefault("proxyBind", False)
    return resource


def _complete_https(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("quicOverride", "NONE")
    resource.setdefault("tlsEarlyData", "DISABLED")
    return _complete(subject)


def _check_https(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    certificates = resource.get("sslCertificates", ())
    if not certificates and "certificateMap" not in resource:
        yield Fault("resource.sslCertificates", "At least 1 SSL certificate must be specified.", "required")
    if len(certificates) > MOST_CERTIFICATES:
        yield invalid("sslCertificates", len(certificates), f"At most {MOST_CERTIFICATES} can be given.")


TARGET_HTTP_PROXY = Kind(
    methods="targetHttpProxies",
    collection="targetHttpProxies",
    schema="TargetHttpProxy",
    references=(Reference("urlMap", ("urlMaps",)),),
    required=("urlMap",),
    fingerprint=True,
    complete=_complete,
)
TARGET_HTTPS_PROXY = Kind(
    methods="targetHttpsProxies",
    collection="targetHttpsProxies",
    schema="TargetHttpsProxy",
    references=(Reference("urlMap", ("urlMaps",)), Reference("sslCertificates[]", ("sslCertificates",))),
    required=("urlMap",),
    fingerprint=True,
    complete=_complete_https,
    check=_check_https,
)
