"""What has to hold of a world that is ready: calls without a token are refused, those with one are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.world.layout import API_HOST, HTTP_BINDINGS
from infra.world.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infra.world.twin_pages import FrontListener


def call_probes(listeners: Sequence[FrontListener], authority: Path, token: str) -> list[Probe]:
    """Each service, from each client region. `authority` is the file with the certificate to trust."""
    json = {"host": API_HOST, "content-type": "application/json"}
    probes: list[Probe] = []
    for listener in listeners:
        for service, path in HTTP_BINDINGS.items():
            for what, headers, status in (
                ("without a token", json, 401),
                ("with a token", {**json, "authorization": f"Bearer {token}"}, 200),
            ):
                probes.append(
                    Probe(
                        name=f"{service} {what} from {listener.client_region}",
                        url=f"https://{listener.listen}{path}",
                        method="POST",
                        headers=headers,
                        body=b'{"content":"hello"}',
                        status=status,
                        server_name=API_HOST,
                        trusts=authority,
                    )
                )
    return probes
