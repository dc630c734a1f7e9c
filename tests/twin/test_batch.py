"""Several requests in one, as gcloud sends them for commands that name several resources."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart

import pytest

from infra.twin.api.batch import MOST_PARTS
from tests.twin.conftest import PROJECT, Client, Json

ADDRESSES = f"/compute/v1/projects/{PROJECT}/global/addresses"


def batch_of(*requests: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers."""
    whole = MIMEMultipart("mixed", "a_boundary")
    for at, request in enumerate(requests):
        part = MIMENonMultipart("application", "http")
        part["Content-Transfer-Encoding"] = "binary"
        part["Content-ID"] = f"<some-id+{at}>"
        part.set_payload(request)
        whole.attach(part)
    return whole.as_bytes().partition(b"\n\n")[2], {"Content-Type": 'multipart/mixed; boundary="a_boundary"'}


def request(verb: str, path: str, body: Json | None = None) -> str:
    text = "" if body is None else json.dumps(body)
    return f"{verb} {path} HTTP/1.1\nContent-Type: application/json\nHost: anywhere\n\n{text}"


async def answers(client: Client, *requests: str) -> dict[str, tuple[int, Json]]:
    body, headers = batch_of(*requests)
    async with client.session.post(f"{client.base}/batch/compute/v1", data=body, headers=headers) as answer:
        assert answer.status == 200
        text = b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n" + await answer.read()
    found = {}
    for part in message_from_bytes(text).walk():
        if part.get_content_type() == "application/http":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            line, _, rest = payload.partition(b"\r\n")
            content = message_from_bytes(rest).get_payload(decode=True)
            assert isinstance(content, bytes)
            found[str(part["Content-ID"])] = (int(line.split()[1]), json.loads(content))
    return found


async def test_each_request_of_a_batch_has_its_own_answer(client: Client) -> None:
    found = await answers(
        client,
        request("POST", f"{ADDRESSES}?alt=json", {"name": "one"}),
        request("POST", ADDRESSES, {"name": "one"}),
        request("POST", ADDRESSES, {"name": "two"}),
        request("GET", f"{ADDRESSES}?filter=name+%3D+two&fields=items%28name%29"),
        request("DELETE", f"{ADDRESSES}/one"),
    )
    assert [found[f"<response-some-id+{at}>"][0] for at in range(5)] == [200, 409, 200, 200, 200]
    assert found["<response-some-id+3>"][1] == {"items": [{"name": "two"}]}
    assert found["<response-some-id+0>"][1]["selfLink"].startswith(client.base)
    assert [item["name"] for item in (await client.get("global/addresses"))["items"]] == ["two"]


@pytest.mark.parametrize(
    "requests", [["nonsense"], [""], [request("GET", "/a b")], [request("GET", ADDRESSES)] * (MOST_PARTS + 1)]
)
async def test_what_is_no_batch_does_nothing(client: Client, requests: list[str]) -> None:
    body, headers = batch_of(request("POST", ADDRESSES, {"name": "one"}), *requests)
    for kind in (headers, {"Content-Type": "multipart/mixed"}, {"Content-Type": "text/plain"}):
        async with client.session.post(f"{client.base}/batch/compute/v1", data=body, headers=kind) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == 400
    assert "items" not in await client.get("global/addresses")
