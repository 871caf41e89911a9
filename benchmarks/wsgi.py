"""Which WSGI server: the maintained ones on the real ``/predict``, and what prelabel needs of them.

    python benchmarks/wsgi.py [--seconds 8] [--servers waitress,cheroot,gunicorn,granian]

For each: requests per second and server CPU per request with 64 clients that keep their connections and 64 that open
one per request (as Label Studio does); whether a custom HTTP reason phrase comes through; whether it is noticed that a
client has hung up; whether SIGTERM lets a running request finish, and refuses new ones meanwhile.
The model takes 20 ms a call and 0.5 ms an item (sleep), at most 32 items a call: 889 items/s at the most.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SERVERS = ("waitress", "cheroot", "gunicorn", "granian")
THREADS = 80


def make_app() -> Any:
    """The real application around a model that sleeps; ``/slow`` and ``/gone`` are for the probes."""
    from flask import Response, request

    from prelabel import log
    from prelabel.data import DataReader
    from prelabel.predictor.local import LocalPredictor
    from prelabel.server import create_app
    from prelabel.settings import load_settings
    from prelabel.testing.stub import StubWrapper

    settings = load_settings(data_dir=tempfile.mkdtemp(), threads=THREADS)
    log.configure(settings, "bench")
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (lives as long as the process)
    log.configure(settings, "bench")
    predictor = LocalPredictor(StubWrapper(call_s=0.02, item_s=0.0005), DataReader(settings), settings)
    app = create_app(settings, predictor)
    gone: list[bool] = []

    @app.get("/slow")
    def slow() -> Response:
        time.sleep(2.0)
        return Response("slow but whole")

    @app.get("/watch")
    def watch() -> Response:
        noticed = client_gone_of(request.environ)
        time.sleep(1.0)
        gone.append(bool(noticed is not None and noticed()))
        return Response("x")

    @app.get("/gone")
    def was_gone() -> Response:
        return Response(json.dumps(gone))

    return app


def client_gone_of(environ: dict[str, Any]) -> Any:
    """The server's own way to notice that the client has hung up."""
    if "waitress.client_disconnected" in environ:
        return environ["waitress.client_disconnected"]
    sock = environ.get("gunicorn.socket") or environ.get("bench.socket")
    if sock is None:
        return None

    def peek() -> bool:
        try:
            return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False

    return peek


def serve(server: str, port: int) -> None:
    """Run one server in this process."""
    if server == "waitress":
        from waitress.server import create_server

        waiting = create_server(
            make_app(), host="127.0.0.1", port=port, threads=THREADS, channel_request_lookahead=1, backlog=2048
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            waiting.run()
        finally:
            waiting.task_dispatcher.shutdown(timeout=10)
    elif server == "cheroot":
        from cheroot import wsgi

        class Gateway(wsgi.Gateway_10):
            def get_environ(self) -> dict[str, Any]:
                environ: dict[str, Any] = super().get_environ()
                environ["bench.socket"] = self.req.conn.socket
                return environ

        running = wsgi.Server(("127.0.0.1", port), make_app(), numthreads=THREADS, request_queue_size=2048)
        running.gateway = Gateway
        running.shutdown_timeout = 10
        signal.signal(signal.SIGTERM, lambda *_: setattr(running, "interrupt", SystemExit(0)))
        running.start()
    elif server == "gunicorn":
        from gunicorn.app.base import BaseApplication

        class Application(BaseApplication):
            def load_config(self) -> None:
                for name, value in {
                    "bind": f"127.0.0.1:{port}",
                    "worker_class": "gthread",
                    "threads": THREADS,
                    "graceful_timeout": 10,
                    "keepalive": 5,
                    "loglevel": "error",
                    "backlog": 2048,
                }.items():
                    self.cfg.set(name, value)

            def load(self) -> Any:
                return make_app()

        Application().run()
    else:
        from granian import Granian
        from granian.constants import Interfaces

        Granian(
            "wsgi:make_app",
            address="127.0.0.1",
            port=port,
            interface=Interfaces.WSGI,
            blocking_threads=THREADS,
            backpressure=THREADS * 2,
            factory=True,
            working_dir=HERE,
            log_enabled=False,
            workers_kill_timeout=10,
        ).serve()


# --- probes
def raw(port: int, request: bytes, timeout: float = 10.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def await_port(port: int, path: str = "/ready") -> None:
    for _ in range(300):
        try:
            if b" 200 " in raw(port, get(path)).split(b"\r\n")[0]:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and its children."""
    import psutil

    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in [parent, *parent.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


def load(port: int, **options: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, HERE / "load.py", json.dumps({"port": port, **options})],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def reason_phrase(port: int) -> str:
    from load import post

    answer = raw(port, post("/setup", {"schema": "<View/>", "project": "1.1"}, keep_alive=False))
    return answer.split(b"\r\n")[0].decode()


def notices_hang_up(port: int) -> bool:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(get("/watch"))
    time.sleep(0.3)
    sock.close()
    time.sleep(1.2)
    return b"true" in raw(port, get("/gone"))


def stops_gracefully(process: subprocess.Popen[bytes], port: int) -> str:
    slow = socket.create_connection(("127.0.0.1", port))
    slow.sendall(get("/slow"))
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    try:
        refused = b" 200 " not in raw(port, get("/health"), 1.0).split(b"\r\n")[0]
    except OSError:
        refused = True
    slow.settimeout(10)
    answer = b""
    try:
        while piece := slow.recv(65536):
            answer += piece
    except OSError:
        pass
    began = time.monotonic()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
    return (
        f"finishes {'yes' if b'slow but whole' in answer else 'NO'}, refuses new {'yes' if refused else 'NO'}, "
        f"then ends in {time.monotonic() - began:.1f} s"
    )


def measure(server: str, port: int, seconds: float) -> None:
    process = subprocess.Popen([sys.executable, __file__, "--serve", server, "--port", str(port)], cwd=HERE)
    try:
        await_port(port)
        print(f"\n{server}")
        for keep_alive in (True, False):
            before = cpu_s(process.pid)
            result = load(port, seconds=seconds, keep_alive=keep_alive)
            used = (cpu_s(process.pid) - before) / max(1, result["requests"] * (seconds + 1) / seconds)
            kind = "keep-alive" if keep_alive else "new connection each"
            print(
                f"  {kind:20} {result['per_s']:6.0f} requests/s  p50 {result['p50_ms']:.0f} ms  "
                f"p95 {result['p95_ms']:.0f} ms  {1000 * used:.2f} ms CPU each  bad {result['bad']}"
            )
        print(f"  reason phrase:       {reason_phrase(port)[:70]}")
        print(f"  notices a hang-up:   {'yes' if notices_hang_up(port) else 'NO'}")
        print(f"  SIGTERM:             {stops_gracefully(process, port)}")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--port", type=int, default=9471)
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port)
        return
    for offset, server in enumerate(options.servers.split(",")):
        measure(server, options.port + offset, options.seconds)


if __name__ == "__main__":
    main()
