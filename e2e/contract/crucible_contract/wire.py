"""Requests that no HTTP library would send."""

import contextlib
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from .settings import API


@dataclass
class Answer:
    """What came back: nothing where the server closed the connection without a word."""

    status: int | None
    headers: dict[str, str]
    body: bytes
    seconds: float


def connect(url: str = API, timeout: float = 10) -> socket.socket:
    """A connection to a gateway."""
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=timeout)


def ask(method: str, target: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"", url: str = API) -> Answer:
    """One request whose target and headers are sent exactly as given, repeated headers included."""
    sent = [("host", urlsplit(url).netloc), ("connection", "close"), *headers]
    if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in sent):
        sent.append(("content-length", str(len(body))))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent) + "\r\n"
    with connect(url) as stream:
        return _exchange(stream, method, head.encode("latin-1") + body)


def _exchange(stream: socket.socket, method: str, request: bytes) -> Answer:
    begun = time.monotonic()
    # The server may have said no and closed before it had heard it all; its answer is read below.
    with contextlib.suppress(OSError):
        stream.sendall(request)
    return _answer(stream, method, begun)


def _answer(stream: socket.socket, method: str, begun: float) -> Answer:
    response = HTTPResponse(stream, method=method)
    try:
        response.begin()
        body = response.read()
    except (OSError, EOFError, ValueError, HTTPException):
        return Answer(None, {}, b"", time.monotonic() - begun)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body, time.monotonic() - begun)


def drip(head: bytes, body: bytes, patience: float) -> Answer:
    """Sends the head at once and the body one byte a second, until the server answers or closes, or for as long as `patience`."""
    begun = time.monotonic()
    with connect(timeout=1) as stream:
        stream.sendall(head)
        position = 0
        while time.monotonic() - begun < patience:
            try:
                if stream.recv(1, socket.MSG_PEEK) == b"":
                    return Answer(None, {}, b"", time.monotonic() - begun)
                stream.settimeout(5)
                return _answer(stream, "POST", begun)
            except TimeoutError:
                pass
            except OSError:
                return Answer(None, {}, b"", time.monotonic() - begun)
            if position < len(body):
                try:
                    stream.sendall(body[position : position + 1])
                except OSError:
                    return Answer(None, {}, b"", time.monotonic() - begun)
                position += 1
    raise AssertionError(f"the gateway kept a connection for {patience} s on which nothing sensible came")
