"""What kind of failure a call met, by its gRPC status alone: the caller knows no more.

Whether a call may be sent again without harm is what divides them. `connect` and `refused` are calls that no app has
seen, which a load balancer should have sent elsewhere; all others may have been under way in a pod when it failed.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    CONNECT = "connect"
    """No connection: to the load balancer, or from there to any pod."""
    REFUSED = "refused"
    """REFUSED_STREAM, a stream above GOAWAY's last id (RFC 9113, 8.7), or a load balancer with nowhere to send it."""
    UNAVAILABLE = "unavailable"
    """UNAVAILABLE for any other reason: mostly a connection that broke with the call on it."""
    DEADLINE = "deadline"
    """No answer in time."""
    OTHER = "other"

    @property
    def retriable(self) -> bool:
        """Whether nobody can have worked on the call."""
        return self in (Kind.CONNECT, Kind.REFUSED)


CONNECT_MESSAGES = ("failed to connect", "upstream connect error")
"""Of gRPC's own library, and of our core as of Envoy."""
REFUSED_MESSAGES = (
    "rst_stream with error code 7",
    "goaway received",
    "no healthy upstream",
    "upstream overflow",
    "backend is overloaded",
)


def kind_of(code: str, message: str) -> Kind:
    """`code` is a name such as UNAVAILABLE, `message` what came with it."""
    if code == "DEADLINE_EXCEEDED":
        return Kind.DEADLINE
    if code != "UNAVAILABLE":
        return Kind.OTHER
    text = message.lower()
    if any(words in text for words in CONNECT_MESSAGES):
        return Kind.CONNECT
    if any(words in text for words in REFUSED_MESSAGES):
        return Kind.REFUSED
    return Kind.UNAVAILABLE
