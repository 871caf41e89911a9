"""Models behind servers of the Open Inference Protocol: tensors both ways, what servers say, faults; and MLServer."""

from __future__ import annotations

import json
import logging
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from flask import Flask, Response, request
from PIL import Image

from prelabel import loader
from prelabel import outputs as o
from prelabel.demo import processes
from prelabel.errors import ModelError, ModelLoadError, OverloadedError
from prelabel.labeling import fit, parse
from prelabel.model import InputKind, ModelWrapper
from prelabel.predictions import make_prediction
from prelabel.tasks import Facts, Task
from prelabel_wrappers.inference_protocol.messages import SERVICE, message
from prelabel_wrappers.inference_protocol.tensors import DTYPES, Tensor, from_list, from_raw

from .cases import IMAGE, choices
from .servers import served

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"digit {number}" for number in range(10)]


class Fleet:
    """A server of the protocol over HTTP, written from its text: JSON, and the binary tensor extension if wanted."""

    def __init__(self, binary: bool = True) -> None:
        self.binary = binary
        self.metadata: dict[str, Any] = {}
        self.compute: Callable[[Any], dict[str, np.ndarray[Any, Any]]] = lambda given: {}
        """Of the input's array, or of several by their names."""
        self.batches: list[int] = []
        self.were_binary: list[bool] = []
        self.asked_outputs: list[list[str]] = []
        self.headers: list[dict[str, str]] = []
        self.replies: list[Response] = []
        self.ready_after = 0
        self.app = Flask("fleet")
        self.app.add_url_rule("/v2", view_func=self._server)
        self.app.add_url_rule("/v2/models/net", view_func=lambda: self.metadata)
        self.app.add_url_rule("/v2/models/net/ready", view_func=self._ready)
        self.app.add_url_rule("/v2/models/net/infer", view_func=self._infer, methods=["POST"])

    def _server(self) -> Any:
        return {"name": "fleet", "version": "1", "extensions": ["binary_tensor_data"] if self.binary else []}

    def _ready(self) -> Any:
        self.ready_after -= 1
        return Response("", 200 if self.ready_after < 0 else 503)

    def _infer(self) -> Any:
        self.headers.append(dict(request.headers))
        if self.replies:
            return self.replies.pop(0)
        content = request.get_data()
        length = int(request.headers.get("Inference-Header-Content-Length", len(content)))
        said, raw = json.loads(content[:length]), content[length:]
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for told in said["inputs"]:
            kind = {"FP32": "<f4", "FP16": "<f2", "UINT8": "u1", "INT64": "<i8", "BYTES": "O"}[told["datatype"]]
            if "data" in told:
                array = np.array(told["data"], dtype=kind)
            else:
                size = told["parameters"]["binary_data_size"]
                own, raw = raw[:size], raw[size:]
                assert len(own) == size
                array = np.array(_strings(own), dtype=object) if kind == "O" else np.frombuffer(own, kind)
            arrays[told["name"]] = array.reshape(told["shape"])
        assert "data" in told or not raw
        self.were_binary.append("data" not in told)
        self.batches.append(len(next(iter(arrays.values()))))
        self.asked_outputs.append([each["name"] for each in said.get("outputs", [])])
        given = next(iter(arrays.values())) if len(arrays) == 1 else arrays
        return self._answer(self.compute(given), binary="data" not in told)

    def _answer(self, outputs: dict[str, np.ndarray[Any, Any]], *, binary: bool) -> Response:
        described, raws = [], []
        for name, given in outputs.items():
            datatype = {"O": "BYTES", "f": "FP32", "i": "INT64"}[given.dtype.kind]
            array = given.astype({"BYTES": "O", "FP32": "<f4", "INT64": "<i8"}[datatype])
            each: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
            if binary:
                strings = [text.encode() for text in array.ravel()] if datatype == "BYTES" else []
                raw = b"".join(struct.pack("<I", len(s)) + s for s in strings) if strings else array.tobytes()
                raws.append(raw)
                each["parameters"] = {"binary_data_size": len(raw)}
            else:
                each["data"] = array.ravel().tolist()
            described.append(each)
        head = json.dumps({"model_name": "net", "outputs": described}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))} if binary else {}
        return Response(b"".join([head, *raws]), 200, headers)


def _strings(raw: bytes) -> list[str]:
    found, at = [], 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        found.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return found


@pytest.fixture
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    made = Fleet(binary=getattr(request, "param", "binary") == "binary")
    with served(made.app) as url:
        made.url = url  # type: ignore[attr-defined]  # known now
        yield made


@pytest.fixture
def model(fleet: Fleet, opened: Callable[..., ModelWrapper]) -> Callable[..., ModelWrapper]:
    def make(**options: str) -> ModelWrapper:
        given = {"url": fleet.url, "model": "net", "wait_s": "0", **options}  # type: ignore[attr-defined]  # as above
        return opened("inference_protocol", given)

    return make


@pytest.fixture(scope="session")
def digit_network() -> Callable[[Any], Any]:
    """Logits of handwritten digits ``[batch, 1, 8, 8]``, trained here."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    digits = load_digits()
    trained = LogisticRegression(max_iter=500).fit(digits.data[:500] / 16, digits.target[:500])
    return lambda given: trained.decision_function(given.reshape(len(given), -1).astype(float))


def described(name: str, datatype: str, shape: Sequence[int], **parameters: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
    return told | ({"parameters": parameters} if parameters else {})


# --- what is fed, what comes back
@pytest.mark.parametrize("fleet", ["binary", "json"], indirect=True)
def test_images_become_the_tensor_that_the_server_describes_and_its_class_names_travel(
    fleet: Fleet, model: Callable[..., ModelWrapper], digit_network: Any, digit_images: list[Image.Image]
) -> None:
    fleet.metadata = {
        "inputs": [described("image", "FP32", [-1, 1, 8, 8])],
        "outputs": [described("scores", "FP32", [-1, 10], names=NAMES)],
    }
    fleet.compute = lambda given: {"scores": digit_network(given)}
    wrapper = model(batch="4")
    assert (wrapper.input, list(wrapper.labels or ())) == (InputKind.IMAGE, NAMES)
    found = wrapper.predict(digit_images)
    assert [each.label for each in found[:5]] == NAMES[:5]
    assert sum(found[0].distribution.values()) == pytest.approx(1)
    assert sorted(fleet.batches) == [2, 4, 4]
    assert set(fleet.were_binary) == {fleet.binary}
    config = parse(choices(NAMES, IMAGE))
    assert fit(config, outputs=wrapper.outputs, labels=wrapper.labels).ok
    prediction = make_prediction(found[3], config, {"x": Facts(width=8, height=8)}, model_version="v")
    assert prediction.result[0]["value"]["choices"] == ["digit 3"]
    assert wrapper.predict(digit_images[:1]) == found[:1]


def test_a_model_with_a_fixed_batch_gets_padded_pieces(
    fleet: Fleet, model: Callable[..., ModelWrapper], digit_network: Any, digit_images: list[Image.Image]
) -> None:
    fleet.metadata = {"inputs": [described("image", "FP16", [3, 8, 8, 1])], "outputs": []}
    fleet.compute = lambda given: {"scores": digit_network(given)}
    found = model(labels=",".join(NAMES), says="class").predict(digit_images[:4])
    assert [each.label for each in found] == NAMES[:4]
    assert fleet.batches == [3, 3]


@pytest.mark.parametrize("fleet", ["binary", "json"], indirect=True)
def test_texts_go_as_bytes_and_texts_in_json_come_back(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    fleet.metadata = {"inputs": [described("text", "BYTES", [-1, 1])], "outputs": [described("said", "BYTES", [-1, 1])]}

    def spans(given: Any) -> Any:
        said = [json.dumps([{"start": 0, "end": len(str(text[0])), "label": "Word"}]) for text in given]
        return {"said": np.array(said, dtype=object).reshape(-1, 1)}

    fleet.compute = spans
    wrapper = model(says="json")
    found = wrapper.predict(["äöü", "two words"])
    config = '<View><Text name="x" value="$t"/><Labels name="l" toName="x"><Label value="Word"/></Labels></View>'
    prediction = make_prediction(found[0], parse(config), {"x": Facts(text="äöü")}, model_version="v")
    assert prediction.result[0]["value"] == {"start": 0, "end": 3, "text": "äöü", "labels": ["Word"]}


@pytest.mark.parametrize(
    ("array", "options", "expected"),
    [
        (np.array([[2], [0]]), {"labels": "a,b,c"}, [o.Choice("c"), o.Choice("a")]),
        (np.array([2, 0]), {}, [2, 0]),
        (np.array([0.5, 1.5]), {}, [o.Number(0.5), o.Number(1.5)]),
        (np.array([["yes"], ["no"]], dtype=object), {}, ["yes", "no"]),
        (np.array([["b"], ["a"]], dtype=object), {"says": "label"}, ["b", "a"]),
    ],
)
def test_outputs_are_read_by_their_looks(
    fleet: Fleet, model: Callable[..., ModelWrapper], array: Any, options: dict[str, str], expected: Any
) -> None:
    fleet.metadata = {"inputs": [described("x", "FP32", [-1, 2])]}
    fleet.compute = lambda given: {"y": array[: len(given)]}
    tasks = [Task(1, {"f": [1, 2]}), Task(2, {"f": [3, 4]})]
    assert list(model(columns="f", **options).predict(tasks)) == expected


@pytest.mark.parametrize("fleet", ["binary", "json"], indirect=True)
def test_boxes_of_images_are_read_as_a_networks_are(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    fleet.metadata = {"inputs": [described("image", "UINT8", [-1, 3, 10, 20])]}
    rows = np.array([[[2, 2, 12, 6, 0.9, 1], [0, 0, 1, 1, 0.1, 0]]], dtype=np.float32)
    fleet.compute = lambda given: {"boxes": np.repeat(rows, len(given), axis=0)}
    (found,) = model(labels="cat,dog").predict([Image.new("RGB", (40, 20))])
    (boxes,) = found
    assert [(box.label, box.x, box.width, box.score) for box in boxes] == [("dog", 4.0, 20.0, pytest.approx(0.9))]


def test_several_outputs_reach_the_adapters_by_name(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    fleet.metadata = {"inputs": [described("x", "FP32", [-1, 1])]}
    fleet.compute = lambda given: {"labels": np.array([["a", "b"]] * len(given), dtype=object),
                                   "scores": np.array([[0.3, 0.7]] * len(given)),
                                   "more": np.zeros((len(given), 1))}  # fmt: skip
    (found,) = model(columns="n", output="labels,scores", says="values").predict([Task(1, {"n": 1})])
    assert fleet.asked_outputs == [["labels", "scores"]]
    config = parse(choices(["a", "b"], '<Text name="x" value="$n"/>'))
    prediction = make_prediction(found, config, {"x": Facts(text="1")}, model_version="v")
    assert prediction.result[0]["value"]["choices"] == ["b"]


# --- several inputs
def _prices(given: Any) -> Any:
    reds = np.array([text == "red" for text in given["colour"].ravel()])
    return {"price": given["size"][:, 0] * given["rate"].ravel() + reds}


@pytest.mark.parametrize("fleet", ["binary", "json"], indirect=True)
def test_several_inputs_get_fields_of_the_task_and_constants(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    inputs = [described("size", "FP32", [-1, 1]), described("colour", "BYTES", [-1]), described("rate", "FP32", [-1])]
    fleet.metadata = {"inputs": inputs}
    fleet.compute = _prices
    tasks = [Task(1, {"how_big": 2, "colour": "red"}), Task(2, {"how_big": 3, "colour": "blue"})]
    wrapper = model(inputs='{"size": "$how_big", "colour": "$colour", "rate": 10}')
    assert wrapper.input is InputKind.TASK
    assert list(wrapper.predict(tasks)) == [o.Number(21.0), o.Number(30.0)]
    lacking, right = wrapper.predict([Task(3, {"colour": "red"}), tasks[1]])
    assert "field 'how_big' is missing" in str(lacking)
    assert right == o.Number(30.0)


def test_inputs_of_one_value_each_get_the_fields_of_their_names(
    fleet: Fleet, model: Callable[..., ModelWrapper]
) -> None:
    names = ("size", "colour", "rate")
    fleet.metadata = {"inputs": [described(name, "BYTES" if name == "colour" else "FP32", [-1, 1]) for name in names]}
    fleet.compute = _prices
    assert list(model().predict([Task(1, {"size": 2, "colour": "red", "rate": 4})])) == [o.Number(9.0)]


def test_beside_an_image_the_other_inputs_are_constants(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    fleet.metadata = {"inputs": [described("image", "UINT8", [-1, 3, 4, 4]), described("bias", "FP32", [2])]}
    fleet.compute = lambda given: {"y": given["image"].reshape(len(given["image"]), -1)[:, :2] / 255 + given["bias"]}
    wrapper = model(inputs='{"bias": [0, 3]}', labels="dark,light")
    assert wrapper.input is InputKind.IMAGE
    (found,) = wrapper.predict([Image.new("RGB", (8, 8))])
    assert found.label == "light"
    with pytest.raises(ModelLoadError, match="bias of net gets a field, and image the task's image"):
        model(inputs='{"bias": "$bias"}')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"net has 2 inputs \(table FP32 \[-1, 3\], k INT64 \[1\]\), and it is not known what they get"),
        ({"input": "table", "columns": "f"}, "it is not known what k gets"),
        ({"inputs": '{"j": 1}'}, "has no input 'j'.*table FP32"),
        ({"inputs": '{"table": "$f", "k": "many"}'}, r"'many' is no value for the input k of net \(INT64 \[1\]\)"),
        ({"inputs": '["table"]'}, "option inputs of .* must be JSON object"),
    ],
)
def test_an_input_of_which_nothing_is_known_is_named(
    fleet: Fleet, model: Callable[..., ModelWrapper], options: dict[str, str], message: str
) -> None:
    fleet.metadata = {"inputs": [described("table", "FP32", [-1, 3]), described("k", "INT64", [1])]}
    with pytest.raises(ModelLoadError, match=message):
        model(**options)


def test_columns_are_one_of_several_inputs(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    fleet.metadata = {"inputs": [described("table", "FP32", [-1, 3]), described("k", "INT64", [1])]}
    fleet.compute = lambda given: {"y": given["table"].sum(axis=1) * given["k"]}
    found = model(columns="a,b", inputs='{"k": 2}').predict([Task(1, {"a": [1, 2], "b": 3})])
    assert list(found) == [o.Number(12.0)]
    (lacking,) = model(inputs='{"k": 2, "table": "$a"}').predict([Task(1, {"a": [1, 2], "b": 3})])
    assert "field 'a' has 2 values, and the input table has the shape [3] an item" in str(lacking)


@pytest.mark.parametrize("datatype", [each for each in DTYPES if each != "BYTES"])
def test_every_datatype_survives_both_ways(datatype: str) -> None:
    tensor = Tensor.of("t", datatype, [[0, 1], [1, 0]])
    for back in (from_raw("t", datatype, [2, 2], tensor.raw()), from_list("t", datatype, [2, 2], tensor.listed())):
        assert back.array.tolist() == [[0, 1], [1, 0]]
        assert back.array.dtype == tensor.array.dtype


# --- what servers do wrong
@pytest.mark.parametrize("fleet", ["binary", "json"], indirect=True)
def test_of_a_refused_batch_only_the_culprit_fails(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    fleet.metadata = {"inputs": [described("x", "FP32", [-1, 1])]}

    def picky(given: Any) -> Any:
        if (given < 0).any():
            raise ValueError("negative")
        return {"y": given[:, 0] * 2.0}

    fleet.compute = picky
    found = model(columns="n", attempts="1").predict([Task(n, {"n": n}) for n in (1, -1, 3)])
    assert [isinstance(each, ModelError) for each in found] == [False, True, False]
    assert found[2] == o.Number(6.0)


@pytest.mark.parametrize(
    ("reply", "kind", "sentence"),
    [
        (Response('{"error": "no such input"}', 400), ModelError, "answered 400: no such input"),
        (Response("", 503), OverloadedError, "answered 503"),
        (Response("hello", 200), ModelError, "not JSON"),
        (Response('{"outputs": []}', 200), ModelError, "without outputs"),
        (
            Response('{"outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}', 200),
            ModelError,
            "has the shape [2] for 1 items",
        ),
        (
            Response('{"outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": ["x"]}]}', 200),
            ModelError,
            "cannot be read as FP32",
        ),
    ],
)
def test_errors_are_told_apart(
    fleet: Fleet, model: Callable[..., ModelWrapper], reply: Response, kind: type[Exception], sentence: str
) -> None:
    fleet.metadata = {"inputs": [described("x", "FP32", [-1, 1])]}
    fleet.replies = [reply]
    (error,) = model(columns="n", attempts="1").predict([Task(1, {"n": 1})])
    assert isinstance(error, kind)
    assert sentence in str(error)


def test_loading_waits_until_the_model_is_ready(fleet: Fleet, model: Callable[..., ModelWrapper]) -> None:
    fleet.metadata = {"inputs": [described("x", "BYTES", [-1])]}
    fleet.ready_after = 1
    with pytest.raises(ModelLoadError, match="has no model 'net' ready"):
        model()
    fleet.ready_after = 1
    assert model(wait_s="30").input is InputKind.TEXT


@pytest.mark.parametrize(
    ("metadata", "options", "sentence"),
    [
        ({"inputs": []}, {}, "does not say what net takes"),
        ({"inputs": [described("x", "FP32", [-1, 4])]}, {}, "unknown where they come from"),
        ({"inputs": [described("x", "BF16", [-1, 4])]}, {"columns": "a"}, "BF16, which cannot be sent"),
        ({"inputs": [described("x", "FP32", [-1, 3, -1, -1])]}, {}, "takes images of any size"),
        ({"inputs": [described("a", "BYTES", [-1]), described("b", "BYTES", [-1, 2])]}, {}, "has 2 inputs"),
        ({"inputs": [described("a", "BYTES", [-1])]}, {"input": "b"}, "has no input 'b'"),
        (
            {"inputs": [described("a", "BYTES", [-1])], "outputs": [described("y", "FP32", [-1])]},
            {"output": "z"},
            "has no output 'z'",
        ),
        ({"inputs": [described("a", "BYTES", [-1])]}, {"says": "boxes"}, "for models that take images"),
    ],
)
def test_what_remains_unclear_is_told_when_loading(
    fleet: Fleet, model: Callable[..., ModelWrapper], metadata: Any, options: dict[str, str], sentence: str
) -> None:
    fleet.metadata = metadata
    with pytest.raises(ModelLoadError, match=sentence):
        model(**options)


def test_a_token_comes_from_the_environment_and_is_never_shown(
    fleet: Fleet, model: Callable[..., ModelWrapper], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("FLEET_TOKEN", "sesame-open-99")
    fleet.metadata = {"inputs": [described("x", "FP32", [-1, 1])]}
    fleet.replies = [Response('{"error": "sesame-open-99 has no access"}', 400)]
    wrapper = model(columns="n", key_env="FLEET_TOKEN")
    (error,) = wrapper.predict([Task(1, {"n": 1})])
    assert fleet.headers[0]["Authorization"] == "Bearer sesame-open-99"
    assert "*** has no access" in str(error)
    assert "sesame-open-99" not in caplog.text + str(error) + str(wrapper.fingerprint())


# --- gRPC
class GrpcFleet:
    """The protocol's service in this process; ``failures`` are used up before it answers."""

    def __init__(self) -> None:
        import grpc

        self.failures: list[Any] = []
        self.raw: list[bool] = []
        self.metadata: list[tuple[str, str]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        calls = {
            "ModelReady": lambda asked: message("ModelReadyResponse")(ready=asked.name == "net"),
            "ServerMetadata": lambda asked: message("ServerMetadataResponse")(name="triton"),
            "ModelMetadata": self._describe,
            "ModelInfer": self._infer,
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                lambda asked, context, call=call: self._settled(call, asked, context),
                request_deserializer=message(f"{name}Request").FromString,
                response_serializer=lambda given: given.SerializeToString(),
            )
            for name, call in calls.items()
        }
        service = SERVICE.strip("/")
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def _settled(self, call: Callable[[Any], Any], asked: Any, context: Any) -> Any:
        self.metadata += [(each.key, each.value) for each in context.invocation_metadata()]
        if self.failures and hasattr(asked, "inputs"):
            context.abort(*self.failures.pop(0))
        return call(asked)

    def _describe(self, asked: Any) -> Any:
        said = message("ModelMetadataResponse")(name=asked.name)
        said.inputs.add(name="x", datatype="FP32", shape=[-1, 2])
        return said

    def _infer(self, asked: Any) -> Any:
        (told,) = asked.inputs
        raw = list(asked.raw_input_contents)
        self.raw.append(bool(raw))
        values = np.frombuffer(raw[0], "<f4") if raw else np.array(told.contents.fp32_contents)
        sums = values.reshape(list(told.shape)).sum(axis=1).astype("<f4")
        said = message("ModelInferResponse")(model_name=asked.model_name)
        output = said.outputs.add(name="y", datatype="FP32", shape=[len(sums)])
        if raw:
            said.raw_output_contents.append(sums.tobytes())
        else:
            output.contents.fp32_contents.extend(sums.tolist())
        return said

    def stop(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def grpc_fleet() -> Iterator[GrpcFleet]:
    pytest.importorskip("grpc")
    made = GrpcFleet()
    yield made
    made.stop()


def over_grpc(fleet: GrpcFleet, **options: str) -> ModelWrapper:
    given = {"url": f"grpc://127.0.0.1:{fleet.port}", "model": "net", "columns": "f", "wait_s": "0", **options}
    wrapper = loader.load_wrapper("inference_protocol", given)
    loader.load(wrapper)
    return wrapper


@pytest.mark.parametrize("binary", ["yes", "no"])
def test_grpc_says_what_http_says(grpc_fleet: GrpcFleet, binary: str) -> None:
    wrapper = over_grpc(grpc_fleet, binary=binary)
    assert wrapper.predict([Task(1, {"f": [1, 2]}), Task(2, {"f": [3, 4.5]})]) == [o.Number(3.0), o.Number(7.5)]
    assert grpc_fleet.raw == [binary == "yes"]
    wrapper.unload()


def test_grpcs_faults_are_told_apart_and_hide_the_token(grpc_fleet: GrpcFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    import grpc

    monkeypatch.setenv("FLEET_TOKEN", "sesame-open-99")
    wrapper = over_grpc(grpc_fleet, key_env="FLEET_TOKEN", attempts="2")
    grpc_fleet.failures = [(grpc.StatusCode.INVALID_ARGUMENT, "sesame-open-99: wrong shape")]
    (wrong,) = wrapper.predict([Task(1, {"f": [1, 2]})])
    assert isinstance(wrong, ModelError)
    assert "INVALID_ARGUMENT: ***: wrong shape" in str(wrong)
    assert ("authorization", "Bearer sesame-open-99") in grpc_fleet.metadata
    grpc_fleet.failures = [(grpc.StatusCode.UNAVAILABLE, "restarting")]
    assert wrapper.predict([Task(1, {"f": [1, 2]})]) == [o.Number(3.0)]
    grpc_fleet.failures = [(grpc.StatusCode.UNAVAILABLE, "gone")] * 2
    (away,) = wrapper.predict([Task(1, {"f": [1, 2]})])
    assert isinstance(away, OverloadedError)
    wrapper.unload()


def test_a_missing_grpc_names_the_extra(grpc_fleet: GrpcFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ModelLoadError, match=r'pip install "prelabel\[inference_protocol\]"'):
        over_grpc(grpc_fleet)


# --- a real server
PRICES = """
    import numpy as np
    from mlserver import MLModel
    from mlserver.codecs import NumpyCodec, StringCodec
    from mlserver.types import InferenceResponse

    class Prices(MLModel):
        async def predict(self, payload):
            given = {each.name: each for each in payload.inputs}
            size, rate = (NumpyCodec.decode_input(given[name]) for name in ("size", "rate"))
            red = np.array([text == "red" for text in StringCodec.decode_input(given["colour"])])
            price = size.reshape(-1) * rate[0] + red
            outputs = [NumpyCodec.encode_output("price", price.reshape(-1, 1).astype(np.float64))]
            return InferenceResponse(model_name=self.name, outputs=outputs)
"""
"""A model of three inputs, as one writes it for MLServer."""


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], Any]) -> Iterator[tuple[int, int]]:
    """MLServer 1.7.1 with a classifier of digits, in an environment of its own (it pins older protobuf and FastAPI).

    Ports of HTTP and gRPC. The environment is kept in ``.cache``.
    """
    if sys.version_info >= (3, 13):
        pytest.skip("MLServer 1.7.1 is for Python up to 3.12")
    home = ROOT / ".cache" / f"mlserver-1.7.1-{sys.version_info[0]}.{sys.version_info[1]}"
    program = home / "bin" / "mlserver"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        command = [str(home / "bin" / "pip"), "install", "-q", "mlserver==1.7.1", "mlserver-sklearn==1.7.1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            program.unlink(missing_ok=True)
            missing(f"MLServer cannot be installed: {done.stderr[-300:]}")
    folder = tmp_path_factory.mktemp("mlserver")
    train = """
        import joblib
        from sklearn.datasets import load_digits
        from sklearn.linear_model import LogisticRegression
        digits = load_digits()
        joblib.dump(LogisticRegression(max_iter=500).fit(digits.data[:500], digits.target[:500]), "digits.joblib")
    """
    subprocess.run([str(home / "bin" / "python"), "-c", textwrap.dedent(train)], cwd=folder, check=True)
    http, grpc, metrics = (processes.free_port() for _ in range(3))
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    model = {"name": "digits", "implementation": "mlserver_sklearn.SKLearnModel"}
    output = {**described("predict_proba", "FP64", [-1, 10]), "parameters": {"names": NAMES}}
    told = {
        **model,
        "parameters": {"uri": "./digits.joblib"},
        "inputs": [described("pixels", "FP32", [-1, 64])],
        "outputs": [output],
    }
    for name, each in (("told", told), ("silent", {**model, "name": "silent", "parameters": told["parameters"]})):
        (folder / name).mkdir()
        (folder / name / "digits.joblib").write_bytes((folder / "digits.joblib").read_bytes())
        (folder / name / "model-settings.json").write_text(json.dumps(each))
    (folder / "prices").mkdir()
    (folder / "prices" / "prices.py").write_text(textwrap.dedent(PRICES))
    several = [
        described("size", "FP32", [-1, 1]),
        described("colour", "BYTES", [-1, 1]),
        described("rate", "FP32", [1]),
    ]
    prices = {"name": "prices", "implementation": "prices.Prices", "inputs": several}
    (folder / "prices" / "model-settings.json").write_text(json.dumps(prices))
    child = processes.start("mlserver", [str(program), "start", "."], log=folder / "log", env=None, cwd=folder)
    yield http, grpc
    child.stop(grace_s=10)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_real_server_of_the_protocol_says_what_the_model_itself_says(
    mlserver: tuple[int, int], scheme: str, digit_tasks: list[Task]
) -> None:
    port = mlserver[0] if scheme == "http" else mlserver[1]
    options = {"url": f"{scheme}://127.0.0.1:{port}", "model": "digits", "columns": "pixels", "wait_s": "90"}
    names = {"labels": ",".join(NAMES)} if scheme == "grpc" else {}  # over HTTP they travel with the metadata
    wrapper = loader.load_wrapper("inference_protocol", {**options, **names})
    loader.load(wrapper)
    found = wrapper.predict(digit_tasks)
    assert [each.label.removeprefix("digit ") for each in found] == [str(n) for n in range(10)]
    assert sum(found[0].distribution.values()) == pytest.approx(1)
    assert wrapper.predict(digit_tasks[:1])[0].distribution == pytest.approx(found[0].distribution)
    wrapper.unload()
    silent = loader.load_wrapper("inference_protocol", {**options, "model": "silent", "output": "predict"})
    loader.load(silent)
    assert list(silent.predict(digit_tasks)) == list(range(10))
    silent.unload()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_real_server_is_fed_several_inputs(mlserver: tuple[int, int], scheme: str) -> None:
    port = mlserver[0] if scheme == "http" else mlserver[1]
    options = {"url": f"{scheme}://127.0.0.1:{port}", "model": "prices", "wait_s": "90"}
    wrapper = loader.load_wrapper(
        "inference_protocol", {**options, "inputs": '{"size": "$how_big", "colour": "$colour", "rate": 10}'}
    )
    loader.load(wrapper)
    tasks = [Task(1, {"how_big": 2, "colour": "red"}), Task(2, {"how_big": 3, "colour": "blue"})]
    assert list(wrapper.predict(tasks)) == [o.Number(21.0), o.Number(30.0)]
    wrapper.unload()


@pytest.mark.slow
def test_a_real_servers_own_errors_are_sentences(mlserver: tuple[int, int]) -> None:
    options = {"url": f"http://127.0.0.1:{mlserver[0]}", "model": "digits", "columns": "pixels", "wait_s": "90"}
    wrapper = loader.load_wrapper("inference_protocol", {**options, "attempts": "1"})
    loader.load(wrapper)
    (error,) = wrapper.predict([Task(1, {"pixels": [1.0, 2.0]})])
    assert isinstance(error, ModelError)
    assert "Traceback" not in str(error)
    wrapper.unload()
    assert httpx.get(f"http://127.0.0.1:{mlserver[0]}/v2").json()["name"] == "mlserver"
