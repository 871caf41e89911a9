"""A client of a server answers what the registry answers; what it refuses, and what goes wrong on the way."""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from prelabel import Box, Choice, Number, Rating, Span, Text
from prelabel.client import Client
from prelabel.client_datarows import Dataset
from prelabel.client_fields import Named, RunFields
from prelabel.client_import import Import
from prelabel.client_model import Model
from prelabel.client_run import ModelRun
from prelabel.errors import (
    AuthError,
    CancelledError,
    DeadlineError,
    LabelStudioError,
    NotFoundError,
    OverloadedError,
    PrelabelError,
    RequestError,
)
from prelabel.remote.client import RemoteClient
from prelabel.remote.connection import Connection
from prelabel.remote.imports import RemoteImport
from prelabel.remote.models import RemoteDataset, RemoteModel
from prelabel.remote.runs import RemoteModelRun
from prelabel.runs.registry import Registry
from prelabel.server.runs_work import AT_ONCE, Progress, Works
from prelabel.settings import Settings, load_settings
from prelabel.testing.fake_label_studio import FakeLabelStudio

KEY = "the-key-of-this-test"
Serve = Callable[[Settings], str]
LETTERS = """<View><Text name="text" value="$text"/>
<Labels name="names" toName="text"><Label value="PER"/><Label value="LOC"/></Labels>
<Choices name="mood" toName="text" choice="single"><Choice value="glad"/><Choice value="sad"/></Choices>
<TextArea name="gist" toName="text"/><Rating name="stars" toName="text" maxRating="5"/>
<Number name="price" toName="text"/></View>"""
MOOD = """<View><Text name="text" value="$text"/><Choices name="mood" toName="text" choice="single">
<Choice value="glad"/><Choice value="sad"/></Choices></View>"""
CATS = """<View><Image name="image" value="$image"/><RectangleLabels name="o" toName="image">
<Label value="cat"/><Label value="dog"/></RectangleLabels></View>"""

NOT_REMOTE = {"instance_of"}
"""What needs the registry itself, and is refused because there is none."""


# -- the same answers


@pytest.fixture
def directory(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def near(directory: Settings) -> Iterator[Client]:
    """A client of the same registry, in this process."""
    with Client(directory) as made:
        yield made


def letters(client: Client, name: str = "letters", sure: float = 0.9, of: Model | None = None) -> ModelRun:
    """A run of thirty letters, of which every third is read wrong; of a model of its own."""
    model = of or client.create_model("letters", client.create_ontology(LETTERS))
    rows = [
        {"row_data": f"Ada came to London, {n}", "global_key": f"k{n}", "media_type": "text", "metadata": {"n": n}}
        for n in range(30)
    ]
    client.import_data_rows("letters", rows)
    run = model.create_model_run(name)
    run.upsert_data_rows(global_keys=[f"k{n}" for n in range(30)])
    run.assign_data_rows_to_split(split="test", global_keys=[f"k{n}" for n in range(10)])

    def said(n: int, *, wrong: bool, score: float | None) -> list[Any]:
        return [
            Span(0, 3, "LOC" if wrong else "PER", score=score),
            Span(12, 17 if wrong else 18, "LOC", score=score),
            Choice("sad" if wrong else "glad", control="mood", score=score),
            Text("she came" if wrong else "she came to London", control="gist", score=score),
            Rating(2 if wrong else 4, control="stars", score=score),
            Number(n + wrong, control="price", score=score),
        ]

    run.add_predictions("p", {f"k{n}": said(n, wrong=n % 3 == 0, score=sure - n / 100) for n in range(30)})
    labels = run.upsert_labels({f"k{n}": said(n, wrong=False, score=None) for n in range(30)})
    assert [list(one.errors) for one in (labels, *run.imports())] == [[], [], []]
    return run


def test_what_a_server_tells_of_a_run_equals_what_the_registry_tells(remote: Client, near: Client) -> None:
    there = letters(remote)
    here = near.get_model_run("letters")
    assert isinstance(there, RemoteModelRun)
    assert there.metrics(0.6, 0.4) == here.metrics(0.6, 0.4)
    assert there.metrics(split="test") == here.metrics(split="test")
    report = there.report()
    assert report == here.report()
    assert report.spans is not None
    assert report.spans.all["partial"].half
    assert None not in (report.texts, report.ratings, report.numbers, report.questions, report.calibration)
    assert there.report().as_json() == here.report().as_json()
    assert there.worst("low_f1", limit=5) == here.worst("low_f1", limit=5)
    assert there.corrections() == here.corrections()
    assert len(there.corrections()) > 100
    assert there.mistakes(foreground=0).counts() == here.mistakes(foreground=0).counts()
    assert list(there.mistakes().rows("missed")) == list(here.mistakes().rows("missed"))
    assert there.matches().row_ids == here.matches().row_ids
    assert there.judge("f1 > 0.5 and recall[PER] > 2") == here.judge("f1 > 0.5 and recall[PER] > 2")
    assert there.items(7, role="annotation") == here.items(7, role="annotation")
    assert there.items(7, there.items(7).after, order="data_row") == here.items(7, here.items(7).after)
    assert list(there.model_run_data_rows("test")) == list(here.model_run_data_rows("test"))
    assert [one.row.position for one in there.imports()] == [one.row.position for one in here.imports()]
    assert (there.provenance, there.stage, there.uid) == (here.provenance, here.stage, here.uid)


def test_boxes_have_average_precision_there_too(remote: Client, near: Client) -> None:
    pytest.importorskip("faster_coco_eval")
    facts = {"width": 100, "height": 100}
    rows = [
        {"row_data": f"http://x/{n}.jpg", "global_key": f"k{n}", "media_type": "image", "facts": facts}
        for n in range(4)
    ]
    remote.import_data_rows("images", rows)
    run = remote.create_model("cats", remote.create_ontology(CATS)).create_model_run("v1")
    run.upsert_data_rows(global_keys=[f"k{n}" for n in range(4)])
    box = {"x": 10.0, "y": 10.0, "width": 20.0, "height": 20.0}
    run.upsert_labels({f"k{n}": [Box(**box, label="cat")] for n in range(4)})
    said = {f"k{n}": [Box(**{**box, "x": 10.0 + n}, label="dog" if n == 3 else "cat", score=0.9)] for n in range(4)}
    run.add_predictions("p", said).wait_till_done()
    assert run.report().boxes is not None
    assert run.report() == near.get_model_run("v1").report()


def test_slices_are_found_saved_and_compared(remote: Client, near: Client) -> None:
    first, second = letters(remote), letters(remote, "letters-two", 0.4, remote.get_model("letters"))
    condition = "metadata.n > 20 and fp > 0"
    here = near.get_model_run("letters")
    assert first.slice(condition, order="f1 desc") == here.slice(condition, order="f1 desc")
    assert [row.global_key for row in first.slice("metadata.n < 5", limit=2)] == ["k0", "k1"]
    saved = first.save_slice("late", condition)
    assert first.slices() == [saved] == here.slices() == second.slices()
    assert first.slice("late") == first.slice(condition)
    late = {"late": [row.uid for row in first.slice("late")]}
    lines = first.compare(second, confidence=0.3, slices=late)
    assert lines == here.compare(near.get_model_run("letters-two"), confidence=0.3, slices=late)
    assert {line.slice for line in lines} == {"", "late"}
    first.delete_slice("late")
    assert first.slices() == []


def test_files_are_the_same(remote: Client, near: Client, tmp_path: Path) -> None:
    there, here = letters(remote), near.get_model_run("letters")
    for form, role in (("ndjson", "prediction"), ("ndjson", "annotation"), ("labelstudio", "prediction")):
        written = there.export(form, tmp_path / "there", role=role, splits=("test", "training"))  # type: ignore[arg-type]
        assert written == here.export(form, tmp_path / "here", role=role, splits=("test", "training"))  # type: ignore[arg-type]
        assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_models_data_rows_and_ontologies_are_the_same(remote: Client, near: Client) -> None:
    run = letters(remote)
    ours, theirs = remote.get_model("letters"), near.get_model("letters")
    assert (ours.ontology, ours.uid, ours.created_at) == (theirs.ontology, theirs.uid, theirs.created_at)
    dataset = remote.import_data_rows("letters", [{"row_data": "new", "id": "c123", "metadata_fields": {"a": 1}}])
    assert list(dataset) == list(Dataset(near, "letters"))
    assert len(dataset) == 31
    nobody = remote.import_data_rows("empty", [])
    assert (len(nobody), list(nobody)) == (0, [])
    run.delete_model_run_data_rows(global_keys=["k0"])
    assert len(list(near.get_model_run("letters").model_run_data_rows())) == 29
    assert [one.name for one in remote.models()] == [one.name for one in near.models()]
    assert [one.name for one in remote.model_runs()] == [one.name for one in near.model_runs()]
    assert remote.get_model_run("letters").collect() == 0


def test_a_run_is_promoted_if_it_is_good_enough_and_rolled_back(remote: Client, near: Client) -> None:
    first = letters(remote)
    model = remote.get_model("letters")
    second = letters(remote, "letters-two", 0.4, model)
    assert first.put_in_shadow()
    assert near.get_model_run("letters").stage == "shadow"
    refused = second.promote("f1 > letters.f1")
    assert (refused.promoted, len(refused.reasons)) == (False, 1)
    assert first.promote("f1 > 0.1").promoted
    assert second.promote().promoted
    assert (first.stage, second.stage) == ("candidate", "promoted")
    assert (model.roll_back()[0].name, first.stage) == ("letters", "promoted")
    first.demote()
    assert first.stage == "candidate"


# -- refusals


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_model_run("nobody"),
        lambda client: client.get_model("nobody"),
        lambda client: client.create_ontology("<View>"),
        lambda client: client.create_ontology({"tools": 5}),
        lambda client: client.create_ontology(),
        lambda client: client.create_model("m", client.create_ontology(CATS)),
        lambda client: client.get_model("m").create_model_run("v1"),
        lambda client: client.get_model("other").get_model_run("v1"),
        lambda client: client.get_model("m").delete_slice("nobody"),
        lambda client: client.get_model("m").save_slice("low_f1", "f1 > 1"),
        lambda client: client.get_model_run("v1").upsert_data_rows(global_keys=["nobody"]),
        lambda client: client.get_model_run("v1").judge("beauty > 1"),
        lambda client: client.get_model_run("v1").slice("metadata.x >"),
        lambda client: client.get_model_run("v1").upsert_labels(),
        lambda client: client.get_model_run("v1").add_predictions("n", "nowhere.ndjson"),
        lambda client: client.import_data_rows("d", [{"row": 1}]),
        lambda client: client.get_model_run("v1").write_selection({1: {"beauty": 1}}, project_id=1),
        lambda client: client.get_model_run("v1").select(1),
    ],
)
def test_errors_are_the_same_with_text_and_remedy(remote: Client, near: Client, call: Callable[[Client], Any]) -> None:
    remote.create_model("m", remote.create_ontology(LETTERS)).create_model_run("v1")
    remote.create_model("other")
    raised = []
    for client in (near, remote):
        with pytest.raises(PrelabelError) as error:
            call(client)
        raised.append((type(error.value), error.value.message, error.value.hint))
    assert raised[0] == raised[1]


def test_what_a_server_cannot_do_says_so_with_a_remedy(remote: Client, near: Client) -> None:
    run = remote.create_model("m", remote.create_ontology(LETTERS)).create_model_run("v1")
    near_run = near.get_model_run("v1")
    for refused in (
        lambda: remote.registry,
        lambda: remote.label_studio(1),
        lambda: remote.run_in_background(1),
        lambda: next(run.add_predictions("p", [{"uuid": "x"}]).inputs),
        remote.resume_imports,
        run.rank_unlabeled,
        lambda: run.push_to_labelbox(model_id="x"),
        lambda: run.compare(near_run),
        lambda: run.send_to_project(1, priority=object()),  # type: ignore[arg-type]  # a ranking
        lambda: remote.import_data_rows("a/b", [{"row_data": "x"}]),
    ):
        with pytest.raises(RequestError) as error:
            refused()
        assert error.value.hint


def test_every_method_is_answered_by_the_server_or_refused() -> None:
    """A method that is new on one side must be decided on the other."""
    shared = {*vars(Named), *vars(RunFields)}
    for ours, theirs in (
        (Client, RemoteClient), (Model, RemoteModel), (ModelRun, RemoteModelRun), (Import, RemoteImport),
        (Dataset, RemoteDataset),
    ):  # fmt: skip
        for name, member in inspect.getmembers(ours):
            if name.startswith("_") or name in shared or not (callable(member) or isinstance(member, property)):
                continue
            if inspect.getattr_static(theirs, name) is inspect.getattr_static(ours, name):
                source = inspect.getsource(member.fget if isinstance(member, property) and member.fget else member)
                assert "registry" not in source or name in NOT_REMOTE, f"{theirs.__name__}.{name} needs a registry"


# -- keys


def test_a_key_is_taken_from_the_settings_and_never_shown(
    serve: Serve, directory: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = serve(directory)
    with Client(url) as nobody, pytest.raises(AuthError, match="asks for one"):
        nobody.models()
    with Client(url, api_key="wrong-key-here") as stranger, pytest.raises(AuthError) as refused:
        stranger.models()
    assert "PRELABEL_API_KEY" in refused.value.hint
    monkeypatch.setenv("PRELABEL_API_KEYS", f"{KEY},another")
    with Client(url) as first:
        assert [one.name for one in first.models()] == ["stub"]
    monkeypatch.setenv("PRELABEL_API_KEYS", "another")
    monkeypatch.setenv("PRELABEL_API_KEY", KEY)
    with Client(url) as ours:
        assert [one.name for one in ours.models()] == ["stub"]
        said = " ".join((repr(ours), repr(ours.settings), repr(vars(ours)), repr(ours.models()), caplog.text))
    assert KEY not in said
    assert "wrong-key-here" not in caplog.text
    with Client("http://bob:secret@127.0.0.1:1") as known:
        assert repr(known) == "Client('http://127.0.0.1:1')"
    with pytest.raises(RequestError, match="a header cannot carry") as unsendable:
        Client(url, api_key="schlüssel")
    assert "schl" not in str(unsendable.value)
    with pytest.raises(RequestError, match="takes no key"):
        Client(directory, api_key=KEY)


def test_a_clients_registry_can_be_given_and_stays_open(directory: Settings) -> None:
    registry = Registry.open(directory)
    with Client(directory, registry=registry) as client:
        assert client.registry is registry
    assert registry.models() == []
    registry.close()


# -- what goes wrong on the way


def connection(answer: Callable[[httpx.Request], httpx.Response]) -> Connection:
    return Connection("http://server:9090/at/", "k", transport=httpx.MockTransport(answer), read_wait_s=0.001)


def test_reads_are_repeated_and_writes_are_sent_once() -> None:
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        if len(asked) % 3:
            raise httpx.ReadError("broke off")
        return httpx.Response(200, json={"models": []})

    with_server = connection(answer)
    assert with_server.get("models") == {"models": []}
    assert asked == [("GET", "/at/api/v1/models")] * 3
    with pytest.raises(OverloadedError, match="broke off POST runs"):
        with_server.write("POST", "runs", {})
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (httpx.ConnectError("refused"), OverloadedError, "does not answer"),
        (httpx.ReadTimeout("slow"), DeadlineError, "took too long"),
        (httpx.Response(302, headers={"location": "http://elsewhere"}), RequestError, "answered GET models with 302"),
        (httpx.Response(200, text="<html>"), RequestError, "not JSON"),
        (httpx.Response(404, text="<html>"), RequestError, "with 404"),
        (httpx.Response(502, text="<html>"), OverloadedError, "with 502"),
        (httpx.Response(403, text="<html>"), AuthError, "refused the key"),
        (httpx.Response(404, json={"error": "Not Found."}), NotFoundError, "Not Found."),
        (httpx.Response(413, text="too large"), RequestError, "max_request_bytes"),
        (httpx.Response(405, json={"error": "Not allowed."}), RequestError, "Not allowed."),
        (httpx.Response(500, json={"error": "Internal."}), PrelabelError, "Internal."),
        (httpx.Response(502, json={"error": "no.", "kind": "LabelStudioError"}), LabelStudioError, "no."),
    ],
)
def test_each_failure_is_an_error_of_ours(answer: Any, kind: type[PrelabelError], says: str) -> None:
    def said(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    with pytest.raises(PrelabelError) as error:
        connection(said).get("models")
    assert type(error.value) is kind
    assert says in str(error.value)


def test_a_file_that_breaks_off_leaves_nothing(tmp_path: Path, remote: Client) -> None:
    run = remote.create_model("m", remote.create_ontology(LETTERS)).create_model_run("v1")

    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{}\n"
            raise httpx.ReadError("broke off")

    assert isinstance(remote, RemoteClient)
    remote.connection.close()
    remote.connection = connection(lambda _request: httpx.Response(200, stream=Broken()))
    with pytest.raises(OverloadedError, match="broke off"):
        run.export("ndjson", tmp_path / "out.ndjson")
    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == []


def test_a_large_file_of_predictions_is_sent_as_it_is_read(remote: Client, tmp_path: Path) -> None:
    remote.import_data_rows("texts", ({"row_data": f"{n}", "global_key": f"k{n}"} for n in range(2000)))
    run = remote.create_model("m", remote.create_ontology(LETTERS)).create_model_run("v1")
    run.upsert_data_rows(global_keys=(f"k{n}" for n in range(2000)))
    with (tmp_path / "p.ndjson").open("w") as file:
        for n in range(2000):
            row = {"dataRow": {"globalKey": f"k{n}"}, "uuid": f"u{n}", "name": "mood", "answer": {"name": "glad"}}
            file.write(json.dumps(row) + "\n")
    job = run.add_predictions("import", tmp_path / "p.ndjson")
    assert (job.wait_till_done(0.05).position, len(job.errors), len(job.statuses)) == (2000, 0, 2000)
    assert job.statuses[1999].uuid == "u1999"
    assert len(list(job.statuses)) == 2000


# -- long work


class Studio(FakeLabelStudio):
    """A fake that also takes changes of single predictions."""

    def answer(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any) -> Any:
        number = path.rpartition("/")[2]
        if method == "PATCH" and path.startswith("/api/predictions/") and int(number) in self.predictions:
            self.predictions[int(number)] |= body
            return 200, self.predictions[int(number)]
        return super().answer(method, path, query, headers, body)


@pytest.fixture
def studio() -> Iterator[Studio]:
    with Studio() as fake:
        yield fake


def test_a_run_is_sent_to_a_project_and_selected_from(studio: Studio, serve: Serve, tmp_path: Path) -> None:
    project = studio.add_project(MOOD)
    known = load_settings(data_dir=tmp_path / "data", label_studio_url=studio.url, label_studio_api_key=studio.token)
    with Client(serve(known), api_key=KEY) as client:
        rows = [{"row_data": f"letter {n}", "global_key": f"k{n}", "media_type": "text"} for n in range(6)]
        client.import_data_rows("letters", rows)
        run = client.create_model("mood", client.create_ontology(MOOD)).create_model_run("v1")
        run.upsert_data_rows(global_keys=[f"k{n}" for n in range(6)])
        run.assign_data_rows_to_split(split="test", global_keys=[f"k{n}" for n in range(5)])
        run.add_predictions("p", {f"k{n}": [Choice("glad", score=n / 10)] for n in range(6)}).wait_till_done()
        told: list[int] = []
        sent = run.send_to_project(project, splits=("test",), priority={"k4": 1}, progress=told.append)
        assert (sent.sent, sent.created_tasks, sent.refused) == (5, 5, 0)
        assert (run.send_to_project(project).sent, run.send_to_project(project).skipped) == (1, 6)
        assert told == sorted(told)
        texts = [task["data"]["text"] for _, task in sorted(studio.tasks.items())]
        assert texts[0] == "letter 4"
        looked: list[tuple[int, int]] = []
        selected = run.select(project, count=2, progress=lambda done, total: looked.append((done, total)))
        assert [one.data_row for one in selected.first] == ["k0", "k1"]
        assert (selected.written.written + selected.written.unchanged, selected.without) == (6, 0)
        again = run.write_selection({selected.first[0].task: {"score": 0.5}}, project_id=project)
        assert (again.written, again.missing) == (1, 0)
        with pytest.raises(PrelabelError, match="strategy"):
            run.select(project, "by_beauty")
        with pytest.raises(RequestError, match="'encoder'"):
            run.enrich(project, encoder="./model.py:embed")
        with Client(known) as near:
            here = near.get_model_run("v1")
            assert run.selections() == here.selections()
            assert [one.id for one in run.selections()] == [selected.selection]
            assert run.arms() == here.arms()
            assert run.enrich(project) == here.enrich(project)
        assert client.import_data_rows("tasks", project_id=project).name == "tasks"
        assert client.create_ontology(project_id=project).label_config == MOOD


def test_work_fails_with_its_error_and_is_forgotten_with_its_server() -> None:
    works = Works()

    def refused(_progress: Progress) -> dict[str, Any]:
        raise LabelStudioError("refused.", hint="Look.")

    def breaks(_progress: Progress) -> dict[str, Any]:
        raise ValueError("a secret of the server")

    ended = [works.begin("send", "v1", step) for step in (refused, breaks)]
    works.close()
    assert [str(works.one(one.id).error) for one in ended] == [
        "refused. Look.",
        "internal error; the server's log has the details.",
    ]
    with pytest.raises(NotFoundError, match="started anew"):
        Works().one(ended[0].id)
    with pytest.raises(OverloadedError):
        works.begin("send", None, refused)


def test_not_too_much_is_done_at_once_and_a_stopping_server_ends_it() -> None:
    works, never = Works(), threading.Event()

    def goes_on(progress: Progress) -> dict[str, Any]:
        while True:
            progress(1, None)
            never.wait(0.01)

    running = [works.begin("select", None, goes_on) for _ in range(AT_ONCE)]
    with pytest.raises(OverloadedError, match="too much"):
        works.begin("select", None, goes_on)
    works.close()
    assert {type(works.one(one.id).error) for one in running} == {CancelledError}
    assert [one.id for one in works.all()] == [one.id for one in reversed(running)]
