"""A real kube-apiserver with its etcd. RBAC is on; no controller runs, so tests write Services and slices."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.waiting import wait_for

ADMIN = "token-of-the-admin"
START_SECONDS = 120.0
"""It starts in ten seconds on an idle machine."""
PLURALS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Service": "/api/v1/namespaces/{}/services",
    "Endpoints": "/api/v1/namespaces/{}/endpoints",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


class Refused(Exception):
    """The server's status and words."""


class KubeApiServer:
    """`with KubeApiServer(folder) as server` serves at `server.url`, to those who trust `server.ca`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        authority = Authority(folder)
        self._pair = authority.issue("127.0.0.1", stem="server")
        self.ca = authority.ca
        self._context = ssl.create_default_context(cafile=str(self.ca))
        self._port, self._etcd, peer = free_port(), free_port(), free_port()
        self._etcd_command = [
            *("etcd", "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", self._etcd_url, "--advertise-client-urls", self._etcd_url),
            *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--initial-cluster", f"default=http://127.0.0.1:{peer}"),
        ]
        key = rsa.generate_private_key(65537, 2048)
        self._key = folder / "accounts.key"
        self._key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        (folder / "tokens.csv").write_text(f'{ADMIN},admin,admin,"system:masters"\n')

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(Program(self._etcd_command, self._folder))
            self._stack = stack.pop_all()
        try:
            self.start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        self._stack.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @property
    def _etcd_url(self) -> str:
        return f"http://127.0.0.1:{self._etcd}"

    def start(self) -> None:
        """Again at the same port, after `kill`."""
        self._program = Program(
            [
                *("kube-apiserver", f"--etcd-servers={self._etcd_url}", "--authorization-mode=RBAC"),
                *("--bind-address=127.0.0.1", f"--secure-port={self._port}", "--service-cluster-ip-range=10.0.0.0/24"),
                *(f"--tls-cert-file={self._pair.chain}", f"--tls-private-key-file={self._pair.key}"),
                *(f"--service-account-key-file={self._key}", f"--service-account-signing-key-file={self._key}"),
                *("--service-account-issuer=https://kubernetes.test", f"--cert-dir={self._folder / 'made'}"),
                *(f"--token-auth-file={self._folder / 'tokens.csv'}", "--disable-admission-plugins=ServiceAccount"),
                "--shutdown-delay-duration=0s",
            ],
            self._folder,
        )
        wait_for("kube-apiserver", self._is_ready, START_SECONDS)

    def kill(self) -> None:
        self._program.__exit__()

    def create(self, document: Mapping[str, Any], namespace: str = "shop") -> None:
        self._ask("POST", PLURALS[document["kind"]].format(namespace), document)

    def replace(self, document: Mapping[str, Any], namespace: str = "shop") -> None:
        path = f"{PLURALS[document['kind']].format(namespace)}/{document['metadata']['name']}"
        self._ask("PUT", path, document)

    def delete(self, kind: str, name: str, namespace: str = "shop") -> None:
        self._ask("DELETE", f"{PLURALS[kind].format(namespace)}/{name}")

    def token_of(self, account: str, namespace: str = "shop") -> str:
        """As the kubelet asks for it when a pod starts."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"{PLURALS['ServiceAccount'].format(namespace)}/{account}/token"
        token: str = self._ask("POST", path, request)["status"]["token"]
        return token

    def lose(self, path: str) -> None:
        """While the server is away: its store loses what is at `/registry/{path}`, and then its whole history."""
        key = base64.b64encode(f"/registry/{path}".encode()).decode()
        lost = self._ask_etcd("deleterange", {"key": key})
        assert lost["deleted"] == "1", lost
        self._ask_etcd("compaction", {"revision": lost["header"]["revision"], "physical": True})

    def _ask_etcd(self, method: str, document: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(f"{self._etcd_url}/v3/kv/{method}", json.dumps(document).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _is_ready(self) -> bool:
        assert self._program.process.poll() is None, self._program.stderr[-2000:]
        try:
            self._ask("GET", "/readyz")
        except (Refused, OSError):
            return False
        return True

    def _ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
                    text = answer.read()
                return json.loads(text) if text.startswith(b"{") else text
            except urllib.error.HTTPError as error:
                if error.code != 429 or time.monotonic() > deadline:
                    raise Refused(f"{method} {path}: {error.code} {error.read().decode()}") from None
