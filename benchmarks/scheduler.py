"""The scheduler over HTTP against the bare model, LitServe and a plain Flask server; and what a click waits.

    python benchmarks/scheduler.py [--seconds 10] [--without litserve,flask] [--no-ledger]

The model takes 20 ms a call and 0.5 ms an item (sleep), so full batches of 32 give 889 items/s. 64 clients send one
task each and wait for the answer, over connections that they keep, and again with a new connection per request. All
servers run the same model on this machine, one after the other, each warmed up; the load generator is a process of its
own and shares the cores. prelabel answers its real ``/predict`` in Label Studio's protocol, with labeling config,
regions, single flight, metrics and (unless --no-ledger) its ledger on SQLite; LitServe and Flask answer with the bare
label.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from load import LABEL_CONFIG

HERE = Path(__file__).resolve().parent
CALL_S, ITEM_S, BATCH, CLIENTS = 0.020, 0.0005, 32, 64
LIMIT = BATCH / (CALL_S + BATCH * ITEM_S)
MICRO_BATCH_MS = 1000 * (CALL_S + BATCH * ITEM_S)


def sleep_model(texts: Sequence[str]) -> list[str]:
    """The model."""
    time.sleep(CALL_S + ITEM_S * len(texts))
    return ["Positive"] * len(texts)


# --- servers, each in a process of its own
def serve_prelabel(port: int, ledger: bool) -> None:
    from prelabel import log
    from prelabel.data import DataReader
    from prelabel.model import InputKind, ModelWrapper
    from prelabel.outputs import Choice
    from prelabel.predictor.local import LocalPredictor
    from prelabel.server import create_app, serve_app
    from prelabel.settings import load_settings

    class Sleeping(ModelWrapper):
        name = "sleeping"
        input = InputKind.TEXT
        outputs = (Choice,)

        def predict(self, batch: Sequence[str]) -> list[str]:
            return sleep_model(batch)

    settings = load_settings(
        data_dir=tempfile.mkdtemp(prefix="prelabel-bench-"),
        port=port,
        threads=CLIENTS + 16,
        max_batch_size=BATCH,
        label_studio_url="http://127.0.0.1:1",
    )
    log.configure(settings, "bench")
    book = None
    if ledger:
        from prelabel.runs import Ledger

        book = Ledger.open(settings)
    predictor = LocalPredictor(Sleeping(), DataReader(settings), settings)
    app = create_app(settings, predictor, ledger=book)
    serve_app(app, settings, on_drained=predictor.close)


def serve_litserve(port: int) -> None:
    import litserve
    from litserve_api import Api

    api = Api(max_batch_size=BATCH, batch_timeout=0.005)
    litserve.LitServer(api, accelerator="cpu", fast_queue=bool(os.environ.get("LITSERVE_FAST_QUEUE"))).run(
        host="127.0.0.1", port=port, generate_client_file=False, log_level="error"
    )


def serve_flask(port: int) -> None:
    """The model called once per request, behind the same WSGI server and threads as prelabel."""
    from flask import Flask, jsonify, request
    from waitress import serve

    app = Flask("plain")
    one_at_a_time = threading.Lock()

    @app.post("/predict")
    def predict() -> Any:
        text = request.get_json()["tasks"][0]["data"]["text"]
        with one_at_a_time:
            return jsonify({"label": sleep_model([text])[0]})

    @app.get("/health")
    def health() -> str:
        return "up"

    serve(app, host="127.0.0.1", port=port, threads=CLIENTS + 16, backlog=1024, _quiet=True)


# --- measuring
class Server:
    """A server process; its group is killed at the end."""

    def __init__(self, kind: str, port: int, *more: str) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", kind, "--port", str(port), *more],
            cwd=HERE,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCH_LOG") else None,
        )

    def __enter__(self) -> Server:
        import httpx

        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=2).status_code == 200:
                    return self
            time.sleep(0.1)
        raise TimeoutError(f"nothing answers on port {self.port}")

    def __exit__(self, *exc: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def load(port: int, **options: Any) -> dict[str, Any]:
    """The load generator in a process of its own."""
    done = subprocess.run(
        [sys.executable, HERE / "load.py", json.dumps({"port": port, **options})],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def connect(port: int) -> None:
    """What Label Studio does first: the ledger works for projects that were connected."""
    import httpx

    setup = {"project": "7.1795322033", "schema": LABEL_CONFIG, "hostname": "http://localhost:8085", "access_token": ""}
    httpx.post(f"http://127.0.0.1:{port}/setup", json=setup).raise_for_status()


def direct(seconds: float) -> float:
    """Items per second of the model called with full batches and nothing around it."""
    texts = ["text"] * BATCH
    end = time.perf_counter() + seconds
    began, count = time.perf_counter(), 0
    while time.perf_counter() < end:
        sleep_model(texts)
        count += BATCH
    return count / (time.perf_counter() - began)


def interactive(port: int, seconds: float) -> dict[str, Any]:
    """Interactive requests, one after the other, while bulk slices of 500 tasks saturate the model."""
    stop = threading.Event()
    done = [0]

    def bulk(first: int) -> None:
        import httpx

        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            number = first
            while not stop.is_set():
                tasks = [{"id": number + i, "data": {"text": f"bulk {number + i}"}} for i in range(500)]
                number += 500
                body = {"label_config": LABEL_CONFIG, "tasks": tasks, "priority": "bulk"}
                client.post("/api/v1/predict", json=body).raise_for_status()
                done[0] += 500

    threads = [threading.Thread(target=bulk, args=(1_000_000 * (1 + i),), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    before, began = done[0], time.perf_counter()
    result = load(port, clients=1, seconds=seconds, warm_s=0.5, context=True, pause_s=0.013)
    result["bulk_per_s"] = (done[0] - before) / (time.perf_counter() - began)
    stop.set()
    for thread in threads:
        thread.join(30)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--without", default="")
    parser.add_argument("--no-ledger", action="store_true")
    parser.add_argument("--port", type=int, default=9571)
    parser.add_argument("--serve", choices=["prelabel", "litserve", "flask"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve == "prelabel":
        serve_prelabel(options.port, not options.no_ledger)
        return
    if options.serve:
        {"litserve": serve_litserve, "flask": serve_flask}[options.serve](options.port)
        return
    without = options.without.split(",")
    more = ["--no-ledger"] if options.no_ledger else []
    bare = direct(min(5.0, options.seconds))
    print(f"model, called directly in full batches: {bare:.0f} items/s (limit {LIMIT:.0f})")
    rates: dict[tuple[str, bool], float] = {}
    for offset, kind in enumerate(("prelabel", "litserve", "flask")):
        if kind in without:
            continue
        with Server(kind, options.port + offset, *(more if kind == "prelabel" else [])) as server:
            if kind == "prelabel":
                connect(server.port)
            for keep_alive in (True, False):
                seconds = options.seconds if kind != "flask" else max(5.0, options.seconds / 2)
                result = load(server.port, clients=CLIENTS, seconds=seconds, warm_s=2.0, keep_alive=keep_alive)
                rates[kind, keep_alive] = result["per_s"]
                connections = "kept connections" if keep_alive else "new connections "
                print(
                    f"{kind:9} {connections}  {result['per_s']:6.0f} items/s "
                    f"({result['per_s'] / bare:4.0%})  p50 {result['p50_ms']:.0f} ms  p95 {result['p95_ms']:.0f} ms  "
                    f"bad {result['bad']} empty {result['empty']}"
                )
            if kind == "prelabel":
                result = interactive(server.port, options.seconds)
                print(
                    f"interactive while bulk saturates ({result['bulk_per_s']:.0f} bulk items/s): "
                    f"p50 {result['p50_ms']:.0f} ms  p95 {result['p95_ms']:.0f} ms "
                    f"= {result['p95_ms'] / MICRO_BATCH_MS:.2f} micro-batches of {MICRO_BATCH_MS:.0f} ms  "
                    f"bad {result['bad']}"
                )
    for keep_alive in (True, False):
        ours = rates.get(("prelabel", keep_alive), 0.0)
        for kind in ("litserve", "flask"):
            if theirs := rates.get((kind, keep_alive)):
                print(f"prelabel / {kind}, {'kept' if keep_alive else 'new'} connections: {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
