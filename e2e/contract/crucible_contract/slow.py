"""Requests that would hold a connection for ever, if they were let."""

from dataclasses import dataclass

from .settings import API
from .wire import Answer, drip

# No request may take longer than half a minute to be heard; the rest is the machine's.
PATIENCE = 36
_HOST = API.split("//")[1]
_POST = f"POST /v1/workloads HTTP/1.1\r\nhost: {_HOST}\r\ncontent-type: application/json\r\n"


@dataclass(frozen=True)
class Slow:
    """What is sent at once, and what is sent one byte a second."""

    at_once: str
    dripped: bytes


REQUESTS = {
    "a head that never ends": Slow(f"GET /health HTTP/1.1\r\nhost: {_HOST}\r\nx-slow: ", b"a" * 60),
    "a body at a byte a second": Slow(_POST + "content-length: 60\r\n\r\n", b"{" + b" " * 59),
    "a length that lies": Slow(_POST + 'content-length: 1000\r\n\r\n{"workload_id":"x"', b""),
    "chunks without an end": Slow(_POST + "transfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 12),
}


def send(request: Slow) -> Answer:
    """Sends it and waits for an answer, or for the connection's end."""
    return drip(request.at_once.encode(), request.dripped, PATIENCE)
