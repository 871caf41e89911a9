"""A load generator that costs little: one process, one selector, prepared requests.

Each of ``clients`` connections sends a request, reads the whole answer and sends the next; with ``keep_alive`` off it
opens a new connection per request, as Label Studio does. Run as a process of its own, it prints one line of JSON.

    python benchmarks/load.py '{"port": 9090, "clients": 64, "seconds": 10}'
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

LABEL_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)


def predict_request(number: int, *, path: str = "/predict", keep_alive: bool = True, context: bool = False) -> bytes:
    """What Label Studio 1.23.2 sends when a task is opened, for task ``number``."""
    body = {
        "tasks": [
            {
                "id": number,
                "data": {"text": f"Example text {number}"},
                "meta": {},
                "created_at": "2026-11-22T04:33:53.908373Z",
                "updated_at": "2026-11-22T04:33:53.908457Z",
                "is_labeled": False,
                "overlap": 1,
                "inner_id": 1,
                "total_annotations": 0,
                "cancelled_annotations": 0,
                "total_predictions": 0,
                "comment_count": 0,
                "unresolved_comment_count": 0,
                "last_comment_updated_at": None,
                "project": 7,
                "updated_by": None,
                "file_upload": None,
                "comment_authors": [],
                "annotations": [],
                "predictions": [],
            }
        ],
        "project": "7.1795322033",
        "label_config": LABEL_CONFIG,
        "params": {"login": None, "password": None, "context": {"result": []} if context else None},
    }
    return post(path, body, keep_alive=keep_alive)


def post(path: str, body: Any, *, keep_alive: bool = True) -> bytes:
    """One POST request as bytes."""
    payload = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: heartex/1.23.2\r\nAccept-Encoding: gzip, deflate\r\n"
        f"Accept: */*\r\nConnection: {'keep-alive' if keep_alive else 'close'}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


@dataclass
class Client:
    """One connection and the answer it is reading."""

    sock: socket.socket | None = None
    buffer: bytes = b""
    began: float = 0.0
    seconds: list[float] = field(default_factory=list)
    empty: int = 0
    bad: int = 0


def run(
    port: int,
    *,
    clients: int = 64,
    seconds: float = 10.0,
    warm_s: float = 1.0,
    keep_alive: bool = True,
    context: bool = False,
    path: str = "/predict",
    body: Any = None,
    first: int = 10_000_000,
    pause_s: float = 0.0,
) -> dict[str, Any]:
    """Load the server on ``port``; returns requests per second, latencies, and how many answers were not as wished.

    ``body`` replaces the recorded ``/predict`` request (the same one every time). ``pause_s`` is waited between an
    answer and the next request.
    """
    fixed = post(path, body, keep_alive=keep_alive) if body is not None else None
    number = first
    selector = selectors.DefaultSelector()
    everybody = [Client() for _ in range(clients)]
    begin = time.perf_counter() + warm_s
    end = begin + seconds

    def send(client: Client) -> None:
        nonlocal number
        number += 1
        request = fixed or predict_request(number, path=path, keep_alive=keep_alive, context=context)
        if client.sock is None:
            client.sock = socket.create_connection(("127.0.0.1", port))
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client.sock, selectors.EVENT_READ, client)
        client.buffer = b""
        client.began = time.perf_counter()
        client.sock.sendall(request)

    def drop(client: Client) -> None:
        if client.sock is not None:
            selector.unregister(client.sock)
            client.sock.close()
            client.sock = None

    for client in everybody:
        send(client)
    sleeping: list[tuple[float, Client]] = []
    while (now := time.perf_counter()) < end:
        while sleeping and sleeping[0][0] <= now:
            send(sleeping.pop(0)[1])
        for key, _ in selector.select(0.005 if sleeping else 0.5):
            client = key.data
            piece = client.sock.recv(65536)
            client.buffer += piece
            answer = complete(client.buffer)
            if answer is None and piece:
                continue
            now = time.perf_counter()
            if now >= begin:
                client.seconds.append(now - client.began)
                client.bad += answer is None or not client.buffer.startswith(b"HTTP/1.1 200")
                client.empty += answer is not None and b'"results":[[]]' in answer
            if not keep_alive or not piece or b"onnection: close" in client.buffer[:400]:
                drop(client)
            if pause_s:
                sleeping.append((now + pause_s, client))
            else:
                send(client)
    for client in everybody:
        drop(client)
    latencies = sorted(latency for client in everybody for latency in client.seconds)
    return {
        "requests": len(latencies),
        "per_s": len(latencies) / seconds,
        "p50_ms": 1000 * percentile(latencies, 0.50),
        "p95_ms": 1000 * percentile(latencies, 0.95),
        "p99_ms": 1000 * percentile(latencies, 0.99),
        "bad": sum(client.bad for client in everybody),
        "empty": sum(client.empty for client in everybody),
        "last": number,
    }


def complete(buffer: bytes) -> bytes | None:
    """The answer's body, once all of it is there."""
    head, separator, body = buffer.partition(b"\r\n\r\n")
    if not separator:
        return None
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        length = int(lower[at + 15 : lower.find(b"\r\n", at) if lower.find(b"\r\n", at) > 0 else None])
        return body if len(body) >= length else None
    return body if body.endswith(b"0\r\n\r\n") else None


def percentile(ordered: list[float], part: float) -> float:
    """The value below which ``part`` of them lie."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


if __name__ == "__main__":
    print(json.dumps(run(**json.loads(sys.argv[1]))))
