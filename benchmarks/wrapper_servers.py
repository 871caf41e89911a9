"""Pairs of plain httpx calls of a server in another process and the wrapper that asks the same of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.model_wrappers import cases
from tests.model_wrappers.packaged import located
from tests.model_wrappers.test_openai import SMOLLM
from wrapper_pairs import FEW, Pair, items_of, repeated

from prelabel.demo import processes
from prelabel.labeling import parse
from prelabel.model import Item
from prelabel.tasks import Task
from prelabel_wrappers.openai import prompt
from prelabel_wrappers.openai.dialect import Dialect
from prelabel_wrappers.openai.questions import questions_of

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0
LLAMA = """
import sys, threading, xllamacpp
told = xllamacpp.CommonParams()
told.model.path, told.n_ctx, told.n_parallel, told.hostnames, told.port = sys.argv[1], 4096, 2, ["127.0.0.1"], 0
told.cpuparams.n_threads = told.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(told)
print(server.listening_address, flush=True)
threading.Event().wait()
"""


def openai(bench: cases.Bench) -> Pair:
    """SmolLM2-135M behind llama.cpp's server, two requests at a time, on 8 texts of 6 words: their feeling, as JSON."""
    cases.installed("xllamacpp")
    command = [sys.executable, "-c", LLAMA, str(located(SMOLLM))]
    child = processes.start("llama", command, log=bench.models / "llama.log")
    address = _until(child, lambda: next((line for line in child.log_tail().split() if line.startswith("http://")), ""))
    batch = items_of(repeated(cases.TEXTS)[:FEW], cases.FEELING)
    options = {"url": f"{address}/v1", "model": "smollm2", "concurrency": "2"}
    bodies = [{"model": "smollm2", **_question(item)} for item in batch]
    client = httpx.Client(base_url=options["url"], timeout=120)

    def one(body: Mapping[str, Any]) -> object:
        said = client.post("/chat/completions", json=body).raise_for_status().json()
        return json.loads(said["choices"][0]["message"]["content"])["c"]

    case = cases.Case("openai", batch, cases.FEELING, options=options)
    return Pair(case, _several(one, bodies, 2), "wall", close=child.stop)


def _question(item: Item) -> dict[str, Any]:
    """The request that the wrapper makes of an item."""
    asked = questions_of(item.config, item.task.data)
    messages = [prompt.system_message(asked, item.config, ""), prompt.user_message(item.config, item.values, 1024)]
    return Dialect().body(messages, asked.schema, 1024, 0.0)


def inference_protocol(bench: cases.Bench) -> Pair:
    """MLServer with a classifier of digits, 32 digits in one request of JSON."""
    child, address = _mlserver(bench.models)
    batch = repeated(bench.tasks)
    options = {"url": address, "model": "digits", "columns": "pixels"}
    client = httpx.Client(base_url=address)

    def bare() -> object:
        pixels = np.array([task.data["pixels"] for task in batch], np.float32)
        given = {"name": "pixels", "datatype": "FP32", "shape": pixels.shape, "data": pixels.ravel().tolist()}
        body = {"inputs": [given], "outputs": [{"name": "predict_proba"}]}
        (found,) = client.post("/v2/models/digits/infer", json=body).raise_for_status().json()["outputs"]
        return np.array(found["data"]).reshape(found["shape"]).argmax(axis=1)

    case = cases.Case("inference_protocol", batch, cases.DIGIT, options=options)
    return Pair(case, bare, "wall", close=child.stop)


def http(bench: cases.Bench) -> Pair:
    """The same server as any REST service, by two expressions: 32 digits in 4 requests of 8 at a time."""
    child, address = _mlserver(bench.models)
    parsed = parse(cases.DIGIT)
    batch = [Item(Task(task.id, task.data), parsed) for task in repeated(bench.tasks)]
    options = {
        "url": f"{address}/v2/models/digits/infer",
        "request": "{inputs: [{name: 'pixels', datatype: 'FP32', shape: [length(items), `64`], "
        "data: items[].data.pixels[]}], outputs: [{name: 'predict'}]}",
        "answer": "outputs[0].data[].to_string(@)",
        "batch": str(FEW),
    }
    client = httpx.Client()

    def one(some: Sequence[Item]) -> object:
        rows = [item.task.data["pixels"] for item in some]
        data = [number for row in rows for number in row]
        given = {"name": "pixels", "datatype": "FP32", "shape": [len(rows), 64], "data": data}
        body = {"inputs": [given], "outputs": [{"name": "predict"}]}
        said = client.post(options["url"], json=body).raise_for_status().json()
        return [str(each) for each in said["outputs"][0]["data"]]

    pieces = [batch[start : start + FEW] for start in range(0, len(batch), FEW)]
    case = cases.Case("http", batch, cases.DIGIT, options=options)
    return Pair(case, _several(one, pieces, 4), "wall", close=child.stop)


# -- servers
def _several(one: Callable[[Any], object], given: Sequence[Any], at_a_time: int) -> Callable[[], object]:
    """The calls as somebody would write them who knows that one after the other is slow."""
    pool = ThreadPoolExecutor(at_a_time)
    return lambda: list(pool.map(one, given))


def _mlserver(models: Path) -> tuple[processes.Child, str]:
    """MLServer with a classifier of digits, and its address."""
    program = ROOT / ".cache" / f"mlserver-1.7.1-{sys.version_info[0]}.{sys.version_info[1]}" / "bin" / "mlserver"
    if not program.exists():
        pytest.skip("MLServer is not there; tests/model_wrappers/test_inference_protocol.py installs it")
    folder = models / "mlserver"
    (folder / "digits").mkdir(parents=True, exist_ok=True)
    train = (
        "import joblib\nfrom sklearn.datasets import load_digits\nfrom sklearn.linear_model import LogisticRegression\n"
        "some = load_digits()\ntrained = LogisticRegression(max_iter=500).fit(some.data[:500], some.target[:500])\n"
        "joblib.dump(trained, 'digits/digits.joblib')\n"
    )
    processes.start(
        "train", [str(program.with_name("python")), "-c", train], log=folder / "train.log", cwd=folder
    ).process.wait()
    port, grpc, metrics = (processes.free_port() for _ in range(3))
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}), encoding="utf-8")
    output = {"datatype": "FP64", "shape": [-1, 10], "parameters": {"names": cases.DIGITS}}
    model = {
        "name": "digits",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./digits.joblib"},
        "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [{"name": "predict_proba", **output}],
    }
    (folder / "digits" / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
    child = processes.start("mlserver", [str(program), "start", "."], log=folder / "log", cwd=folder)
    address = f"http://127.0.0.1:{port}"
    _until(child, lambda: address if _ready(f"{address}/v2/models/digits/ready") else "")
    return child, address


def _ready(address: str) -> bool:
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


def _until(child: processes.Child, address: Callable[[], str]) -> str:
    """The address of a server, as soon as it has one."""
    until = time.monotonic() + PATIENCE_S
    while not (found := address()):
        if not child.running or time.monotonic() > until:
            child.stop()
            raise RuntimeError(f"{child.name} did not come up:\n{child.log_tail()}")
        time.sleep(0.2)
    return found
