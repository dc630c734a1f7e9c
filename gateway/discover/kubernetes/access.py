"""How to reach a cluster, and where that is written: a kubeconfig, or the pod's service account.

In this order: the target's `kubeconfig`, `$KUBECONFIG`, the service account of the pod we run in, `~/.kube/config`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts token, certificate and namespace of a pod ("Accessing the Kubernetes API from a Pod")."""


class NoAccess(Exception):
    """Says what is missing or cannot be used, and in which file. Holds no secret."""


@dataclass(frozen=True, slots=True)
class Access:
    """`server` is a URL without a closing slash. `ca` None: the system's certificates; `client` is PEM, key included.

    A token in a file is read anew for each request: the kubelet renews it long before it ends.
    """

    server: str
    namespace: str = "default"
    ca: str | None = None
    client: bytes | None = None
    token: str | None = None
    token_file: Path | None = None
    server_name: str | None = None
    verify: bool = True

    def bearer(self) -> str | None:
        """The token to send now. Raises NoAccess."""
        if self.token_file is None:
            return self.token
        token = read_text(self.token_file).strip()
        if not token or not token.isascii() or not token.isprintable():
            raise NoAccess(f"{self.token_file} holds no token.")
        return token

    def tls(self) -> ssl.SSLContext:
        """Raises NoAccess: certificates or key cannot be used."""
        try:
            context = ssl.create_default_context(cadata=self.ca)
            if self.client is not None:
                _load_client(context, self.client)
        except (ssl.SSLError, ValueError) as error:
            raise NoAccess(f"The certificates for {self.server} cannot be used: {error}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def find_access(
    kubeconfig: str,
    context: str,
    environment: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """Raises NoAccess."""
    from gateway.discover.kubernetes.kubeconfig import read_kubeconfig

    named = kubeconfig or environment.get("KUBECONFIG", "")
    paths = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    if paths:
        return read_kubeconfig(paths, context)
    if not context and environment.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environment, service_account)
    home = Path(environment.get("HOME", "/")) / ".kube" / "config"
    if home.exists():
        return read_kubeconfig([home], context)
    raise NoAccess(f"There is no cluster: neither KUBECONFIG nor {home} nor, as in a pod, KUBERNETES_SERVICE_HOST.")


def in_cluster(environment: Mapping[str, str], folder: Path) -> Access:
    """The service account of the pod we run in. Raises NoAccess."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = folder / "namespace"
    access = Access(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=(read_text(namespace).strip() if namespace.exists() else "") or "default",
        ca=read_text(folder / "ca.crt"),
        token_file=folder / "token",
    )
    access.bearer()
    return access


def read_text(path: Path) -> str:
    """Raises NoAccess."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise NoAccess(f"{path} cannot be read: {reason}.") from None


def _load_client(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL takes certificates from files alone; this one is never on a disk."""
    descriptor = os.memfd_create("client")
    try:
        os.write(descriptor, pem)
        # Without a password function an encrypted key would ask at the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    finally:
        os.close(descriptor)
