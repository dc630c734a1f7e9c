"""What may stand in a `k8s:` target."""

from __future__ import annotations

import pytest

from gateway.configuration.quantities import check_target
from gateway.discover.kubernetes.target import Target
from gateway.discover.schemes import check


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("k8s:///app", {"service": "app"}),
        ("k8s:///app.shop", {"service": "app", "namespace": "shop"}),
        ("k8s:///app.shop:8000", {"service": "app", "namespace": "shop", "port": 8000}),
        ("k8s:///app:grpc-admin", {"service": "app", "port": "grpc-admin"}),
        ("k8s:///app?zone=eu-1a&context=prod", {"service": "app", "zone": "eu-1a", "context": "prod"}),
        ("k8s:///app?kubeconfig=/etc/kube/config", {"service": "app", "kubeconfig": "/etc/kube/config"}),
    ],
)
def test_a_target_names_service_namespace_and_port(text: str, facts: dict[str, str | int]) -> None:
    assert Target.parse(text) == Target(text, **facts)  # type: ignore[arg-type]
    assert check_target(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("k8s://cluster/app", "write k8s:///service"),
        ("k8s:///", "'' is no name of a Service"),
        ("k8s:///App", "'App' is no name of a Service"),
        ("k8s:///app.", "'' is no name of a Service"),
        ("k8s:///app.shop.svc.cluster.local", "'shop.svc.cluster.local' is no name"),
        ("k8s:///app/../nodes", "'app/' is no name"),
        ("k8s:///app:", "'' is neither a port"),
        ("k8s:///app:0", "0 is not a port"),
        ("k8s:///app:65536", "65536 is not a port"),
        ("k8s:///app:a_b", "'a_b' is neither a port"),
        ("k8s:///app?zonee=x", "no option 'zonee'; there are context, kubeconfig, zone"),
        ("k8s:///app?zone=", "'zone' is empty"),
        ("k8s:///app?zone=a&zone=b", "twice"),
        ("k8s:///app?zone", "is no query"),
        ("k8s:///" + "a" * 64, "is no name of a Service"),
        ("k8s:///app:٣", "neither a port"),
    ],
)
def test_another_form_is_refused_with_the_right_one(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="k8s://") as refused:
        check(text)
    assert problem in str(refused.value)
