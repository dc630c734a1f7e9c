"""Several requests in one, as gcloud sends whatever names more than one resource: `multipart/mixed`, a request in each
part. They are answered one after the other, each part under the name that it came with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus

from infra.twin.api.call import Answer

MOST_PARTS = 1_000
"""Of one batch (Google's limit)."""

BOUNDARY = "batch_of_the_twin"
"""No line of JSON is this."""

_REQUEST_LINE = re.compile(r"(?P<verb>[A-Z]{1,16}) (?P<target>[!-~]{1,8192}) HTTP/1\.[01]")
_NAME = re.compile(r"<([!-~ ]{1,200})>")


@dataclass(frozen=True, slots=True)
class Part:
    """`target` is a path with its query; `name` the Content-ID, without the brackets."""

    name: str
    verb: str
    target: str
    body: bytes


def read(content_type: str, body: bytes) -> list[Part]:
    """ValueError: it is no batch."""
    whole = _message(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    found = whole.get_payload()
    if whole.get_content_type() != "multipart/mixed" or not isinstance(found, list):
        raise ValueError("a batch is multipart/mixed, with a boundary")
    if len(found) > MOST_PARTS:
        raise ValueError(f"a batch has at most {MOST_PARTS} requests")
    return [_part(at, one) for at, one in enumerate(found) if isinstance(one, Message)]


def _part(at: int, part: Message) -> Part:
    line, _, rest = _content(part).lstrip().partition(b"\n")
    request = _REQUEST_LINE.fullmatch(line.decode("latin-1").strip())
    if request is None:
        raise ValueError(f"part {at + 1} does not begin with a line such as GET /compute/v1/... HTTP/1.1")
    name = _NAME.fullmatch(str(part.get("Content-ID", "")).strip())
    return Part(name[1] if name else "", request["verb"], request["target"], _content(_message(rest)).strip())


def _message(text: bytes) -> Message:
    return BytesParser().parsebytes(text)


def _content(message: Message) -> bytes:
    content = message.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def write(answers: Iterable[tuple[Part, Answer]]) -> bytes:
    """The body of the answer, whose type is `multipart/mixed` with `BOUNDARY`."""
    lines: list[str] = []
    for part, answer in answers:
        text = json.dumps(answer.body, indent=2)
        lines += (f"--{BOUNDARY}", "Content-Type: application/http")
        lines += (f"Content-ID: <response-{part.name}>",) if part.name else ()
        lines += ("", f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}")
        lines += ("Content-Type: application/json; charset=UTF-8", f"Content-Length: {len(text)}", "", text)
    return "\r\n".join((*lines, f"--{BOUNDARY}--", "")).encode()
