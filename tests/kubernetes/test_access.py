"""Where credentials come from, and what they are used for."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from gateway.discover.kubernetes.access import Access, NoAccess, find_access
from gateway.discover.kubernetes.api import ApiError, Collection
from gateway.discover.kubernetes.http import HttpApi
from tests.kubernetes.api_server import ApiServer
from tests.kubernetes.objects import endpoint_slice, write_kubeconfig
from tests.support.certificates import Authority

SLICES = Collection("discovery.k8s.io", "endpointslices", "", ("labelSelector", "kubernetes.io/service-name=app"))
SERVER = "https://cluster.example:6443"


def kubeconfig(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None, **context: Any) -> Path:
    return write_kubeconfig(path, user, {"server": SERVER, **(cluster or {})}, **context)


def pod(folder: Path) -> tuple[dict[str, str], Path]:
    """The environment and the folder that a kubelet makes."""
    for name, text in (("token", "from-pod\n"), ("ca.crt", "-"), ("namespace", "shop")):
        (folder / name).write_text(text)
    return {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}, folder


def test_a_pod_has_a_service_account(tmp_path: Path) -> None:
    environment, folder = pod(tmp_path)
    access = find_access("", "", environment, folder)
    assert access == Access("https://10.96.0.1:443", "shop", ca="-", token_file=folder / "token")
    assert access.bearer() == "from-pod"
    assert (
        find_access("", "", environment | {"KUBERNETES_SERVICE_HOST": "fd00::1"}, folder).server
        == "https://[fd00::1]:443"
    )


def test_a_pod_without_a_token_is_said(tmp_path: Path) -> None:
    environment, folder = pod(tmp_path)
    (folder / "token").unlink()
    with pytest.raises(NoAccess, match="token cannot be read: No such file"):
        find_access("", "", environment, folder)


def test_a_kubeconfig_comes_before_the_pod_and_the_targets_before_that_of_the_environment(tmp_path: Path) -> None:
    environment, folder = pod(tmp_path)
    first = kubeconfig(tmp_path / "first", {"token": "1"}, namespace="n")
    second = kubeconfig(tmp_path / "second", {"token": "2"})
    environment["KUBECONFIG"] = str(second)
    assert find_access(str(first), "", environment, folder) == Access(SERVER, "n", token="1")
    assert find_access("", "", environment, folder) == Access(SERVER, token="2")


def test_outside_of_a_cluster_there_is_the_file_of_kubectl(tmp_path: Path) -> None:
    with pytest.raises(NoAccess, match="There is no cluster"):
        find_access("", "", {"HOME": str(tmp_path)})
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", {})
    assert find_access("", "", {"HOME": str(tmp_path)}) == Access(SERVER)


def test_several_files_are_one_and_names_are_beside_their_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "token").write_text("beside")
    user = {"users": [{"name": "v", "user": {"tokenFile": "token"}}]}
    contexts = [{"name": "other", "context": {"cluster": "c", "user": "v", "namespace": "n"}}]
    (tmp_path / "a" / "config").write_text(json.dumps(user | {"contexts": contexts}))
    second = kubeconfig(tmp_path / "config", {"token": "1"})
    both = {"KUBECONFIG": f"{tmp_path / 'a' / 'config'}:{second}:{tmp_path / 'absent'}"}
    assert find_access("", "", both).token == "1"
    other = find_access("", "other", both)
    assert (other.namespace, other.bearer()) == ("n", "beside")


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"exec": {"command": "aws"}}, "the user 'u' has 'exec': an exec plugin starts a program"),
        ({"auth-provider": {"name": "gcp"}}, "'auth-provider'"),
        ({"username": "a", "password": "secret"}, "'username'"),
        ({"client-certificate-data": base64.b64encode(b"x").decode()}, "needed together"),
        ({"client-certificate-data": "???", "client-key-data": "eA=="}, "is not base64"),
        ({"client-certificate": "nowhere", "client-key": "nowhere"}, "nowhere cannot be read"),
    ],
)
def test_credentials_that_are_not_used_are_refused_by_name(tmp_path: Path, user: dict[str, Any], words: str) -> None:
    path = kubeconfig(tmp_path / "config", user)
    with pytest.raises(NoAccess) as refused:
        find_access(str(path), "", {})
    assert words in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not YAML"),
        ("a: 2001-99-99", "is not YAML"),
        ("[" * 600, "is not YAML"),
        ("[]", "is no kubeconfig"),
        ("{}", "no current-context"),
        ('{"current-context": "gone"}', "there is no context 'gone'"),
        (
            '{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "b"}}]}',
            "there is no cluster 'b'",
        ),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(NoAccess) as refused:
        find_access(str(path), "", {})
    assert words in str(refused.value)


@pytest.mark.parametrize("cluster", [{"server": "cluster:6443"}, {"server": ""}, {"proxy-url": "http://a"}])
def test_a_server_that_cannot_be_is_said(tmp_path: Path, cluster: dict[str, Any]) -> None:
    with pytest.raises(NoAccess, match=r"is no https URL|proxy-url"):
        find_access(str(kubeconfig(tmp_path / "config", {}, cluster)), "", {})


async def listed(access: Access) -> int:
    api = HttpApi(lambda: access)
    try:
        return len((await api.list(SLICES)).items)
    finally:
        await api.aclose()


def requiring_clients(authority: Authority) -> ssl.SSLContext:
    server = authority.issue("127.0.0.1", "cluster.example", stem="server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.ca))
    context.load_cert_chain(server.chain, server.key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("embedded", [True, False])
async def test_certificates_of_a_kubeconfig_are_used(tmp_path: Path, embedded: bool) -> None:
    authority = Authority(tmp_path)
    client = authority.issue("gate", stem="client")
    files = {"certificate-authority": authority.ca, "client-certificate": client.chain, "client-key": client.key}
    if embedded:
        fields = {f"{name}-data": base64.b64encode(file.read_bytes()).decode() for name, file in files.items()}
    else:
        fields = {name: file.name for name, file in files.items()}
    trust = {name: fields.pop(name) for name in list(fields) if name.startswith("certificate-authority")}
    async with ApiServer(requiring_clients(authority)) as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        there = trust | {"server": server.url, "tls-server-name": "cluster.example"}
        path = kubeconfig(tmp_path / "config", fields, there, namespace="shop")
        assert await listed(find_access(str(path), "", {})) == 1
        kubeconfig(path, fields, trust | {"server": server.url, "tls-server-name": "other.example"}, namespace="shop")
        with pytest.raises(ApiError, match=r"cannot be reached.*other.example"):
            await listed(find_access(str(path), "", {}))
        kubeconfig(path, fields, {"server": server.url}, namespace="shop")
        with pytest.raises(ApiError, match=r"cannot be reached.*certificate"):
            await listed(find_access(str(path), "", {}))
        kubeconfig(path, fields, {"server": server.url, "insecure-skip-tls-verify": True}, namespace="shop")
        assert await listed(find_access(str(path), "", {})) == 1


async def test_a_pods_own_certificate_and_token_are_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("127.0.0.1", stem="server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.chain, pair.key)
    environment, folder = pod(tmp_path)
    (folder / "ca.crt").write_bytes(authority.ca.read_bytes())
    async with ApiServer(context) as server:
        server.tokens = {"from-pod"}
        server.put(endpoint_slice("a", "10.0.0.1"))
        host, _, port = server.url.removeprefix("https://").partition(":")
        environment |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        api = HttpApi(lambda: find_access("", "", environment, folder))
        assert len((await api.list(SLICES)).items) == 1
        server.tokens = {"renewed"}
        (folder / "token").write_text("renewed")
        assert len((await api.list(SLICES)).items) == 1
        await api.aclose()


async def test_a_token_goes_over_no_open_line() -> None:
    with pytest.raises(ApiError, match="is not https, so it is not sent a token"):
        await listed(Access("http://cluster.example:8080", token="secret"))


async def test_certificates_that_are_none_are_said() -> None:
    with pytest.raises(ApiError, match=r"certificates for https://cluster\.example cannot be used"):
        await listed(Access("https://cluster.example", ca="nonsense"))
    with pytest.raises(ApiError, match=r"certificates for https://cluster\.example cannot be used"):
        await listed(Access("https://cluster.example", client=b"nonsense"))


async def test_a_token_file_that_holds_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two\nlines")
    with pytest.raises(ApiError, match="holds no token"):
        await listed(Access("https://cluster.example", token_file=tmp_path / "token"))
