"""A run to Labelbox: against a client that records what the SDK would send, and against the SDK itself, offline."""

from __future__ import annotations

import http.server
import inspect
import itertools
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prelabel import Box
from prelabel.cli.run_pushing import push_command
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.errors import PrelabelError, RequestError, SettingsError
from prelabel.labelbox.pushing import Pushed, Target, ToPush, push
from prelabel.labelbox.pushing_sdk import connect

labelbox = pytest.importorskip("labelbox", exc_type=ImportError)

DATA = Path(__file__).parent / "data"
SAMPLES = [json.loads(line) for line in (DATA / "payloads.ndjson").read_text().splitlines()]
BOXES = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="o" toName="image">'
    '<Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)
TARGET = Target("cats", "v1", ontology_id="o1")


# --- a client that records
class State(Enum):
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


@dataclass
class RecordingImport:
    name: str
    rows: list[dict[str, Any]]
    refused: dict[str, str]
    state: State = State.RUNNING
    ends: State = State.FINISHED
    waited: int = 0

    def wait_till_done(self, sleep_time_seconds: int = 10, show_progress: bool = False) -> None:
        self.waited += 1
        self.state = self.ends

    @property
    def statuses(self) -> list[dict[str, Any]]:
        assert self.state is State.FINISHED, "the SDK raises where an import has not ended well"
        told = []
        for row in self.rows:
            why = self.refused.get(str(row.get("name")))
            errors = [{"name": "Invalid", "message": why}] if why else []
            status = "FAILURE" if why else "SUCCESS"
            told.append({"uuid": row["uuid"], "dataRow": {"id": "x"}, "status": status, "errors": errors})
        return told


@dataclass
class RecordingRun:
    client: RecordingClient
    uid: str
    name: str
    config: Any
    data_rows: list[str] = field(default_factory=list)
    imports: dict[str, RecordingImport] = field(default_factory=dict)

    def upsert_data_rows(
        self, data_row_ids: Any = None, global_keys: Any = None, timeout_seconds: float = 3600
    ) -> bool:
        self.client.die_if("upsert_data_rows")
        assert set(global_keys) <= self.client.keys, "the SDK's job fails as a whole"
        self.data_rows += [key for key in global_keys if key not in self.data_rows]
        return True

    def add_predictions(self, name: str, predictions: Any) -> RecordingImport:
        self.client.die_if("add_predictions")
        assert name not in self.imports, "names are unique in a run"
        assert isinstance(predictions, list)
        assert {row["dataRow"]["globalKey"] for row in predictions} <= set(self.data_rows)
        made = RecordingImport(name, json.loads(json.dumps(predictions)), self.client.refused, ends=self.client.ends)
        self.imports[name] = made
        return made

    @property
    def stored(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows of the imports that ended well: one with the same uuid on the same data row replaces."""
        ended = [one for one in self.imports.values() if one.ends is State.FINISHED]
        return {(row["dataRow"]["globalKey"], row["uuid"]): row for one in ended for row in one.rows}


@dataclass
class RecordingModel:
    client: RecordingClient
    uid: str
    name: str
    ontology_id: str
    runs: list[RecordingRun] = field(default_factory=list)

    def model_runs(self) -> list[RecordingRun]:
        return self.runs

    def create_model_run(self, name: str, config: Any = None) -> RecordingRun:
        self.runs.append(RecordingRun(self.client, f"run-{len(self.runs)}", name, config))
        return self.runs[-1]


@dataclass
class RecordingClient:
    """What Labelbox would know. ``deaths``: method names and at which call they raise, once."""

    keys: set[str]
    models: list[RecordingModel] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    ends: State = State.FINISHED
    deaths: dict[str, int] = field(default_factory=dict)

    def die_if(self, method: str) -> None:
        if method in self.deaths:
            self.deaths[method] -= 1
            if self.deaths[method] == 0:
                raise Exception("Job failed.")  # noqa: TRY002 - what the SDK raises

    def get_model(self, model_id: str) -> RecordingModel:
        return next(model for model in self.models if model.uid == model_id)

    def get_models(self, where: Any = None) -> list[RecordingModel]:
        return [model for model in self.models if model.name == where.value]

    def create_model(self, name: str, ontology_id: str) -> RecordingModel:
        self.models.append(RecordingModel(self, f"model-{len(self.models)}", name, ontology_id))
        return self.models[-1]

    def get_data_row_ids_for_global_keys(self, global_keys: list[str], timeout_seconds: float = 60) -> dict[str, Any]:
        missing = [key for key in global_keys if key not in self.keys]
        errors = [{"global_key": key, "error": "Data Row not found"} for key in missing]
        return {"status": "SUCCESS", "results": ["x"] * (len(global_keys) - len(missing)), "errors": errors}

    def execute(self, query: Any = None, params: Any = None) -> dict[str, Any] | None:
        """The one question that the SDK's own class asks: for an import by name. None: there is none."""
        assert "getModelErrorAnalysisPredictionImportPyApi" in query
        run = next(run for run in self.all_runs if run.uid == params["modelRunId"])
        held = run.imports.get(params["name"])
        if held is None:
            return None
        return {"modelErrorAnalysisPredictionImport": import_fields(held.name, run.uid, held.ends.value)}

    @property
    def all_runs(self) -> list[RecordingRun]:
        return [run for model in self.models for run in model.runs]

    @property
    def run(self) -> RecordingRun:
        (run,) = self.all_runs
        return run


def import_fields(name: str, run: str, state: str, statuses: str = "") -> dict[str, Any]:
    """An import as Labelbox's GraphQL has it."""
    return {
        "id": f"import-{name}",
        "name": name,
        "state": state,
        "inputFileUrl": "",
        "errorFileUrl": "",
        "statusFileUrl": statuses,
        "progress": "100%",
        "modelRunId": run,
    }


def rows_of(key: str, count: int, name: str = "cat") -> ToPush:
    rows = [
        {"uuid": f"{i}", "name": name, "bbox": {"top": i, "left": 0, "height": 1, "width": 1}} for i in range(count)
    ]
    return ToPush(key, key, rows)


# --- the recording client is like the SDK's
@pytest.mark.parametrize(
    ("ours", "theirs", "method"),
    [
        (RecordingClient, "Client", "get_model"),
        (RecordingClient, "Client", "get_models"),
        (RecordingClient, "Client", "create_model"),
        (RecordingClient, "Client", "get_data_row_ids_for_global_keys"),
        (RecordingModel, "Model", "create_model_run"),
        (RecordingRun, "ModelRun", "upsert_data_rows"),
        (RecordingRun, "ModelRun", "add_predictions"),
        (RecordingImport, "MEAPredictionImport", "wait_till_done"),
    ],
)
def test_the_recording_client_has_the_signatures_of_the_sdk(ours: type, theirs: str, method: str) -> None:
    def shape(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
        return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]

    assert shape(getattr(ours, method)) == shape(getattr(getattr(labelbox, theirs), method))


def test_the_recording_client_has_the_fields_of_the_sdk() -> None:
    assert {"uid", "name", "ontology_id", "model_runs"} <= set(dir(labelbox.Model))
    assert {"uid", "name"} <= set(dir(labelbox.ModelRun))
    assert {"state", "statuses"} <= set(dir(labelbox.MEAPredictionImport))
    theirs = list(inspect.signature(labelbox.Client.execute).parameters)
    assert theirs[: len(inspect.signature(RecordingClient.execute).parameters)] == ["self", "query", "params"]


# --- model, run, batches
def test_model_and_run_are_made_once() -> None:
    box = RecordingClient({"a"})
    first = push(box, TARGET, [rows_of("a", 1)])
    second = push(box, TARGET, [rows_of("a", 1)])
    assert (first.model_id, first.run_id) == (second.model_id, second.run_id) == ("model-0", "run-0")
    assert box.models[0].ontology_id == "o1"


def test_a_model_of_that_name_with_another_ontology_is_another_model() -> None:
    box = RecordingClient({"a"})
    box.create_model("cats", "o2")
    assert push(box, TARGET, [rows_of("a", 1)]).model_id == "model-1"


def test_a_model_is_taken_by_its_id() -> None:
    box = RecordingClient({"a"})
    box.create_model("another name", "o2")
    pushed = push(box, Target("cats", "v1", model_id="model-0"), [rows_of("a", 1)])
    assert (pushed.model_id, box.run.name) == ("model-0", "v1")


@pytest.mark.parametrize("ids", [{}, {"model_id": "m", "ontology_id": "o"}])
def test_either_model_or_ontology_is_named(ids: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="either"):
        push(RecordingClient(set()), Target("cats", "v1", **ids), [])


def test_data_rows_without_predictions_are_in_the_run_too() -> None:
    box = RecordingClient({"a", "b"})
    pushed = push(box, TARGET, [rows_of("a", 2), ToPush("b", "b")])
    assert box.run.data_rows == ["a", "b"]
    assert (pushed.data_rows, pushed.rows, pushed.accepted, len(pushed.imports)) == (2, 2, 2, 1)


def test_no_import_has_more_rows_of_a_name_on_a_data_row_than_the_sdk_takes() -> None:
    box = RecordingClient({"a", "b"})
    pushed = push(box, TARGET, [rows_of("a", 12_001), rows_of("b", 1)])
    validate = labelbox.MEAPredictionImport._validate_data_rows
    for one in box.run.imports.values():
        validate(one.rows)
    assert [len(one.rows) for one in box.run.imports.values()] == [5_000, 5_000, 2_002]
    assert (pushed.data_rows, pushed.accepted, len(box.run.stored)) == (2, 12_002, 12_002)


def test_a_batch_ends_where_its_bytes_are_many() -> None:
    masks = [{"uuid": f"{i}", "name": "cat", "mask": {"png": "A" * 12 * 2**20}} for i in range(4)]
    box = RecordingClient({"a"})
    push(box, TARGET, [ToPush("a", "a", masks)])
    assert [len(one.rows) for one in box.run.imports.values()] == [3, 1]


# --- again, and after a crash
def test_the_second_push_sends_nothing_twice() -> None:
    box = RecordingClient({"a"})
    push(box, TARGET, [rows_of("a", 5)])
    before = list(box.run.imports)
    pushed = push_with_statuses(box, [rows_of("a", 5)])
    assert list(box.run.imports) == before
    assert (pushed.again, pushed.rows) == (1, 5)


def push_with_statuses(box: RecordingClient, rows: Sequence[ToPush]) -> Pushed:
    """As `push`: found imports are the SDK's own and have no status file here, which counts as unread."""
    pushed = push(box, TARGET, rows)
    assert pushed.unread + pushed.accepted + pushed.refused_count == pushed.rows
    return pushed


def test_a_push_goes_on_where_it_was_killed() -> None:
    box = RecordingClient({f"k{i}" for i in range(3)}, deaths={"add_predictions": 2})
    rows = [rows_of(f"k{i}", 10_000, name=f"n{i}") for i in range(3)]
    rows = [
        ToPush(one.called, one.global_key, [{**r, "name": f"c{n % 3}"} for n, r in enumerate(one.rows)]) for one in rows
    ]
    with pytest.raises(PrelabelError, match="Job failed") as caught:
        push(box, TARGET, rows)
    assert "Push again" in caught.value.hint
    (sent,) = box.run.imports
    pushed = push_with_statuses(box, rows)
    assert pushed.again == 1
    assert pushed.imports[0] == sent
    assert len(box.run.imports) == 3
    assert len(box.run.stored) == 30_000 == sum(len(one.rows) for one in box.run.imports.values())


def test_a_changed_row_replaces_what_was_sent() -> None:
    box = RecordingClient({"a"})
    push(box, TARGET, [rows_of("a", 2)])
    changed = rows_of("a", 2)
    push(box, TARGET, [ToPush("a", "a", [{**row, "confidence": 0.0} for row in changed.rows])])
    assert len(box.run.imports) == 2
    assert [row["confidence"] for row in box.run.stored.values()] == [0.0, 0.0]


def test_an_import_that_failed_as_a_whole_is_sent_again_under_another_name() -> None:
    box = RecordingClient({"a"}, ends=State.FAILED)
    pushed = push(box, TARGET, [rows_of("a", 2)])
    assert (pushed.accepted, pushed.refused_count) == (0, 2)
    assert "failed as a whole" in pushed.refused[0].reason
    box.ends = State.FINISHED
    pushed = push(box, TARGET, [rows_of("a", 2)])
    assert (pushed.accepted, pushed.refused_count, pushed.again) == (2, 0, 0)
    assert pushed.imports[0].endswith("-2")


# --- what is refused, and what cannot go
def test_refused_rows_are_told_with_data_row_and_reason() -> None:
    box = RecordingClient({"a", "b"}, refused={"dog": "no such feature"})
    pushed = push(box, TARGET, [rows_of("a", 2), rows_of("b", 1, name="dog")])
    assert (pushed.accepted, pushed.refused_count) == (2, 1)
    assert (pushed.refused[0].data_row, pushed.refused[0].reason) == ("b", "Invalid: no such feature")


def test_what_cannot_go_is_counted_and_named() -> None:
    box = RecordingClient({"a"})
    rows = [
        {"uuid": "1", "name": "next to", "relationship": {"source": "x", "target": "y", "type": "unidirectional"}},
        {"uuid": "2", "masks": {"frames": [], "instances": []}},
        {"uuid": "3", "name": "best", "messageEvaluationTask": {"format": "message-ranking", "data": {}}},
        {"uuid": "4", "name": "cat", "point": {"x": 1, "y": 2}},
    ]
    more = [ToPush("task 7", None), rows_of("not there", 3), ToPush("a", "a", rows, ["region r1: no counterpart"])]
    pushed = push(box, TARGET, more)
    assert [row["name"] for row in box.run.stored.values()] == ["cat"]
    told = {one.what.partition(" (")[0]: (one.count, one.examples) for one in pushed.left_out}
    assert told == {
        "data rows without a global key": (1, ("task 7",)),
        "data rows that Labelbox does not have, or does not show to this key": (1, ("not there: Data Row not found",)),
        "parts of predictions that have no Labelbox row": (1, ("a: region r1: no counterpart",)),
        "relationships": (1, ("a: next to",)),
        "video masks": (1, ("a: 2",)),
        "message tasks": (1, ("a: best",)),
    }
    assert json.loads(json.dumps(pushed.as_json()))["left_out"][0]["examples"]


def test_of_the_samples_those_go_that_labelbox_takes_in_a_model_run() -> None:
    samples = [(one, row) for one in SAMPLES for row in one["rows"] if row["dataRow"].get("globalKey")]
    box = RecordingClient({"k"})
    wrong = []
    for sample, row in samples:
        box.models.clear()
        pushed = push(box, TARGET, [ToPush("k", "k", [row], media_type=sample["asset"])])
        goes = bool(pushed.rows)
        # the boxes and texts that a relationship or video mask stands beside are fit for a model run themselves
        only_mal = sample["dest"] == "mal" and not {"bbox", "location", "textSelections"} & set(row)
        if goes is only_mal:
            wrong.append(sample["name"])
    assert len(samples) > 90
    assert wrong == []


# --- a run of the registry
@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(tmp_path / "data") as made:
        yield made


@pytest.fixture
def run(client: Client) -> ModelRun:
    """Boxes of Label Studio's form on ``k0``, of Labelbox's on ``k1``; a data row without a key; ``k2`` empty."""
    facts = {"width": 200, "height": 100}
    client.import_data_rows(
        "images",
        [{"row_data": f"{i}.jpg", "global_key": f"k{i}", "media_type": "IMAGE", "facts": facts} for i in range(3)],
    )
    nameless = client.import_data_rows("more", [{"row_data": "x.jpg", "media_type": "IMAGE", "facts": facts}])
    made = client.create_model("cats", client.create_ontology(BOXES)).create_model_run("v1")
    made.upsert_data_rows([row.uid for row in nameless], [f"k{i}" for i in range(3)])
    made.add_predictions("outputs", {"k0": [Box(20, 10, 40, 30, "cat", score=0.5, id="b1")]}).wait_till_done()
    row = {"dataRow": {"globalKey": "k1"}, "uuid": "b2", "name": "dog", "confidence": 0.0}
    made.add_predictions("rows", [{**row, "bbox": {"top": 1, "left": 2, "height": 3, "width": 4}}]).wait_till_done()
    return made


def test_a_run_goes_up_in_both_forms(run: ModelRun) -> None:
    box = RecordingClient({"k0", "k1", "k2"})
    pushed = run.push_to_labelbox(box, ontology_id="o1")
    assert (box.models[0].name, box.run.name, box.run.data_rows) == ("cats", "v1", ["k0", "k1", "k2"])
    by_key = {row["dataRow"]["globalKey"]: row for row in box.run.stored.values()}
    assert by_key["k0"]["name"] == "cat"
    assert by_key["k0"]["confidence"] == 0.5
    assert by_key["k0"]["bbox"] == pytest.approx({"left": 20, "top": 10, "width": 40, "height": 30})
    assert by_key["k1"]["confidence"] == 0.0
    assert (pushed.data_rows, pushed.rows, pushed.accepted) == (3, 2, 2)
    assert [(one.what, one.count) for one in pushed.left_out] == [("data rows without a global key", 1)]


def test_a_run_gets_another_name_in_labelbox(run: ModelRun) -> None:
    box = RecordingClient({"k0", "k1", "k2"})
    run.push_to_labelbox(box, ontology_id="o1", run_name="cats of June")
    assert box.run.name == "cats of June"


def test_pushing_a_run_again_sends_nothing_twice(run: ModelRun) -> None:
    box = RecordingClient({"k0", "k1", "k2"})
    first = run.push_to_labelbox(box, ontology_id="o1")
    second = run.push_to_labelbox(box, ontology_id="o1")
    assert second.imports == first.imports
    assert second.again == len(first.imports) == len(box.run.imports)


def test_without_a_key_the_error_says_which_variable(run: ModelRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABELBOX_API_KEY", raising=False)
    with pytest.raises(SettingsError, match="LABELBOX_API_KEY"):
        run.push_to_labelbox(ontology_id="o1")


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "labelbox", None)
    with pytest.raises(SettingsError, match="pip install labelbox"):
        connect("key")


# --- the SDK itself, without a network
class Offline(labelbox.Client):  # type: ignore[misc,name-defined]
    """The SDK's client, whose answers are made up here. ``imports``: rows by the import's name."""

    def __init__(self, statuses: str) -> None:
        super().__init__(api_key="secret-of-labelbox")
        self.imports: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.models: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self._statuses = statuses

    def execute(self, query: Any = None, params: Any = None, data: Any = None, files: Any = None, **_: Any) -> Any:
        if data is not None:
            operations = json.loads(data["operations"])
            query, params = operations["query"], operations["variables"]
            ((_name, body, _type),) = files.values()
            self.imports[params["name"]] = [json.loads(line) for line in body.decode().splitlines()]
        operation = re.search(r"(?:query|mutation) *(\w+)", query)
        assert operation is not None, query
        self.asked.append(operation[1])
        return getattr(self, f"_{operation[1]}")(params)

    def _GetModelsPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802 - the SDK's names
        return {"models": self.models}

    def _createModelPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        self.models.append({"id": "m1", "name": params["name"], "ontologyId": params["ontologyId"]})
        return {"createModel": self.models[-1]}

    def _ModelRunsPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        return {"model": {"modelRuns": self.runs}}

    _GetModelModelRunsPyApi = _ModelRunsPyApi

    def _CreateModelRunPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        moment = "2026-01-01T00:00:00.000Z"
        run = {"id": "r1", "name": params["name"], "updatedAt": moment, "createdAt": moment}
        self.runs.append({**run, "createdBy": "u", "modelId": "m1", "trainingMetadata": {}, "modelAppId": None})
        return {"createModelRun": self.runs[-1]}

    def _getDataRowsForGlobalKeysPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        return {"dataRowsForGlobalKeys": {"jobId": "j"}}

    def _getDataRowsForGlobalKeysResultPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        found = {"fetchedDataRows": [{"id": "x"}], "notFoundGlobalKeys": ["k2"], "accessDeniedGlobalKeys": []}
        return {"dataRowsForGlobalKeysResult": {"jobStatus": "COMPLETE", "data": found}}

    def _createMEAModelRunDataRowRegistrationTaskPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        return {"createMEAModelRunDataRowRegistrationTask": "t"}

    def _MEADataRowRegistrationTaskStatusPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        return {"MEADataRowRegistrationTaskStatus": {"status": "COMPLETE", "errorMessage": None}}

    def _getModelErrorAnalysisPredictionImportPyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        return {"modelErrorAnalysisPredictionImport": self._import(params)} if params["name"] in self.imports else None

    def _createMEAPredictionImportByFilePyApi(self, params: dict[str, Any]) -> Any:  # noqa: N802
        return {"createModelErrorAnalysisPredictionImport": self._import(params)}

    def _import(self, params: dict[str, Any]) -> dict[str, Any]:
        return import_fields(params["name"], "r1", "FINISHED", self._statuses + params["name"])


@pytest.fixture
def offline() -> Iterator[Offline]:
    """The SDK's client; its status files come from a server in this process."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            rows = made.imports[self.path[1:]]
            told = [{"uuid": row["uuid"], "dataRow": {"id": "x"}, "status": "SUCCESS"} for row in rows]
            told[0] |= {"status": "FAILURE", "errors": [{"name": "Invalid", "message": "too small"}]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write("\n".join(map(json.dumps, told)).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made = Offline(f"http://127.0.0.1:{server.server_port}/")
        yield made
        server.shutdown()
        thread.join()


def test_the_sdk_itself_sends_a_run_and_tells_what_became_of_it(run: ModelRun, offline: Offline) -> None:
    pushed = run.push_to_labelbox(offline, ontology_id="o1")
    ((name, rows),) = offline.imports.items()
    assert pushed.imports == (name,)
    assert [(row["dataRow"], row["name"]) for row in rows] == [
        ({"globalKey": "k0"}, "cat"),
        ({"globalKey": "k1"}, "dog"),
    ]
    assert rows[1]["confidence"] == 0.0
    assert (pushed.data_rows, pushed.accepted, pushed.refused_count) == (2, 1, 1)
    assert (pushed.refused[0].data_row, pushed.refused[0].reason) == ("k0", "Invalid: too small")


def test_the_sdk_itself_finds_what_it_sent_before(run: ModelRun, offline: Offline) -> None:
    first = run.push_to_labelbox(offline, ontology_id="o1")
    second = run.push_to_labelbox(offline, ontology_id="o1")
    sent = [name for name in offline.asked if name in ("createModelPyApi", "CreateModelRunPyApi")]
    assert sent == ["createModelPyApi", "CreateModelRunPyApi"]
    assert offline.asked.count("createMEAPredictionImportByFilePyApi") == 1
    assert (second.again, second.accepted, second.refused) == (1, first.accepted, first.refused)


# --- the command
def test_the_command_pushes_and_never_shows_the_key(
    run: ModelRun, offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []
    monkeypatch.setattr(labelbox, "Client", lambda api_key: keys.append(api_key) or offline)
    monkeypatch.setenv("LABELBOX_API_KEY", "secret-of-labelbox")
    arguments = ["v1", "--ontology-id", "o1", "--data-dir", str(tmp_path / "data")]
    told = CliRunner().invoke(push_command, arguments)
    assert told.exit_code == 1, told.output
    assert keys == ["secret-of-labelbox"]
    assert "2 data rows, 1 of 2 rows taken, 1 refused" in told.output
    assert "k0, row" in told.output
    assert "not sent: 1 data rows without a global key" in told.output
    assert "secret" not in told.output
    assert "api" not in " ".join(itertools.chain.from_iterable(one.opts for one in push_command.params))


def test_the_command_wants_one_id() -> None:
    told = CliRunner().invoke(push_command, ["v1"])
    assert told.exit_code == 2
    assert "either --model-id or --ontology-id" in told.output
