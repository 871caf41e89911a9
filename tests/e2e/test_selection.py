"""What to label next, in a real Label Studio: real sentences, a real model, a real encoder, and what its API shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from prelabel.client import Client
from prelabel.settings import load_settings

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio

ABOUT = (
    '<View><Text name="text" value="$text"/><Choices name="about" toName="text" choice="single">'
    '<Choice value="faces"/><Choice value="news"/><Choice value="nature"/></Choices></View>'
)
FILES = {
    "faces": ("lfw", "olivetti_faces", "digits"),
    "news": ("twenty_newsgroups", "rcv1"),
    "nature": ("covtype", "species_distributions", "wine_data", "iris", "diabetes", "breast_cancer"),
}
"""What the sentences of scikit-learn's descriptions of data sets are about."""


TASKS = 42


def sentences() -> list[tuple[str, str]]:
    """Real English sentences, and which class each is of, by turns of the classes."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "descr"
    found: dict[str, list[str]] = {}
    for about, names in FILES.items():
        for name in names:
            text = re.sub(r"\s+", " ", (folder / f"{name}.rst").read_text(encoding="utf-8"))
            said = [one.strip() for one in re.split(r"(?<=[\w)`])[.:] ", text)]
            found.setdefault(about, []).extend(one for one in said if 40 < len(one) < 400)
    rows = [(place, about, text) for about, texts in found.items() for place, text in enumerate(dict.fromkeys(texts))]
    return [(text, about) for _, about, text in sorted(rows)]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, str]]]:
    """A classifier that was trained on every fourth sentence, and the others."""
    import joblib
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    said = sentences()
    learnt, rest = said[::4], [one for place, one in enumerate(said) if place % 4]
    assert len(rest) >= TASKS
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    model.fit([text for text, _ in learnt], [about for _, about in learnt])
    file = tmp_path_factory.mktemp("model") / "about.joblib"
    joblib.dump(model, file)
    return file, rest[:TASKS]


def listed(here: Any, *, order: str, filters: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The tasks of a Data Manager tab with this order and these filters, as it lists them."""
    data = {
        "ordering": [order],
        "filters": {"conjunction": "and", "items": filters or []},
    }
    made = here.api.post("/api/dm/views", json={"project": here.id, "data": data})
    assert made.status_code == httpx.codes.CREATED, made.text
    answer = here.api.get("/api/tasks", params={"view": made.json()["id"], "page_size": 1000, "fields": "all"})
    answer.raise_for_status()
    return [dict(task) for task in answer.json()["tasks"]]


def annotate(here: Any, task: int, answer: str) -> None:
    region = {"from_name": "about", "to_name": "text", "type": "choices", "value": {"choices": [answer]}}
    made = here.api.post(f"/api/tasks/{task}/annotations/", json={"result": [region]})
    assert made.status_code == httpx.codes.CREATED, made.text


def test_tasks_are_ordered_filtered_and_enriched_by_what_a_run_and_an_encoder_say(
    *,
    label_studio: LabelStudioServer,
    prelabel_process: Any,
    project: Any,
    material: tuple[Path, list[tuple[str, str]]],
    run_prelabel: Callable[..., subprocess.CompletedProcess[str]],
    encoder: str,
    client_of: Callable[[Path], Client],
) -> None:
    file, rest = material
    backend = prelabel_process("up", "sklearn", "--opt", f"model={file}", label_studio=label_studio)
    here = project(ABOUT)
    here.connect(backend.url)
    ids = here.import_texts([text for text, _ in rest])
    true = dict(zip(ids, (about for _, about in rest), strict=True))
    stored = here.wait_for_predictions(len(ids))
    run = str(stored[0]["model_version"])
    assert all("distributions" not in one and "meta" not in one["result"][0] for one in stored), "it stays with us"
    places = {
        "PRELABEL_DATA_DIR": str(backend.data_dir),
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
    }

    def done(*arguments: str) -> list[str]:
        command = run_prelabel("runs", *arguments, env=places)
        assert command.returncode == 0, command.stdout + command.stderr
        return command.stdout.splitlines()

    # the order of the margin is the Data Manager's
    where = (run, "--project", str(here.id))
    shown = done("select", *where, "--strategy", "margin", "--count", "10")
    chosen = [int(line.split()[0]) for line in shown[1:11]]
    tasks = listed(here, order="tasks:predictions_score")
    assert {task["predictions_score"] for task in tasks} == {None}, "the project shows the backend's title as version"
    here_run = client_of(backend.data_dir).get_model_run(run)
    assert [one.task for one in here_run.select(here.id, "margin", count=10, show=True).first] == chosen
    tasks = listed(here, order="tasks:predictions_score")
    scores = [task["predictions_score"] for task in tasks]
    assert scores == sorted(scores)
    by_id = {task["id"]: task["predictions_score"] for task in tasks}
    assert [by_id[task] for task in chosen] == scores[:10], "equal scores come in an order of its own"
    import joblib
    import numpy as np

    top = np.sort(joblib.load(file).predict_proba([task["data"]["text"] for task in tasks]), axis=1)
    assert scores == pytest.approx((top[:, -1] - top[:, -2]).tolist(), abs=1e-4), "the score is the margin"
    turned = listed(here, order="-tasks:predictions_score")
    assert [task["predictions_score"] for task in turned] == scores[::-1]

    # and so is its filter
    limit = scores[12]
    below = {"filter": "filter:tasks:predictions_score", "operator": "less_or_equal", "type": "Number", "value": limit}
    few = listed(here, order="tasks:predictions_score", filters=[below])
    assert [task["id"] for task in few] == [task["id"] for task in tasks if task["predictions_score"] <= limit]

    # a mix in which chance is the control; the labels say whether the strategy helped
    mixed = done("select", *where, "--strategy", "mix", "--count", "20", "--share", "margin=1", "--share", "random=1")
    picked = [int(line.split()[0]) for line in mixed[1:21]]
    tasks = listed(here, order="tasks:predictions_score")
    assert [task["id"] for task in tasks[:20]] == picked
    predicted = {one["task"]: one["result"][0]["value"]["choices"][0] for one in here.predictions()}
    labeled = ids[: len(ids) // 2] + [task for task in picked if task not in ids[: len(ids) // 2]]
    wrong_label = next(task for task in labeled if task not in picked and true[task] == predicted[task] == "faces")
    for task in labeled:
        annotate(here, task, "nature" if task == wrong_label else true[task])
    assert not here_run.upsert_labels(project_id=here.id).errors
    arms = {line.split()[0]: line.split() for line in done("arms", run) if line.startswith(("margin ", "random "))}
    ways = {line.split()[0]: line.split()[3] for line in mixed[1:21]}
    for arm, line in arms.items():
        mine = [task for task in picked if ways[str(task)] == arm]
        if arm == "random":
            assert line[1] == str(len(mine))
            assert line[2] == str(sum(true[task] != predicted[task] for task in mine))

    # clusters, neighbours and the label that is wrong
    said = done("enrich", *where, "--encoder", encoder, "--neighbors", "5")
    assert "failed" in said[-2]
    assert f"{len(ids)} embedded, 0 were, 0 failed" in said[-2]
    found = {one["task"]: one for one in here.predictions()}
    assert all(isinstance(one["cluster"], int) for one in found.values())
    assert all(len(one["neighbors"]) == 5 and set(one["neighbors"]) < set(ids) for one in found.values())
    alike = [true[task] == true[near] for task, one in found.items() for near in one["neighbors"]]
    by_chance = sum(sum(a == b for b in true.values()) - 1 for a in true.values()) / (len(ids) * (len(ids) - 1))
    assert sum(alike) / len(alike) > by_chance + 0.2
    doubts = {task: found[task]["mislabeling"] for task in labeled}
    assert sorted(doubts, key=lambda task: -doubts[task]).index(wrong_label) < len(labeled) // 4
    assert {one["mislabeling"] for task, one in found.items() if task not in labeled} == {0.0}, "Label Studio's default"

    # labeled tasks by how wrong their labels look
    doubted = here_run.select(here.id, "mislabeling", encoder=encoder, count=len(labeled))
    order = [one.task for one in doubted.first]
    assert order == sorted(labeled, key=lambda task: -doubts[task])

    # the Data Manager has no columns for them
    columns = {one["id"] for one in here.api.get("/api/dm/columns", params={"project": here.id}).json()["columns"]}
    assert "predictions_score" in columns
    assert not columns & {"cluster", "neighbors", "mislabeling"}

    # what is unlabeled by what no label covers
    chosen = [one.task for one in here_run.select(here.id, "diversity", encoder=encoder, count=5).first]
    assert not set(chosen) & set(labeled)
    unlabeled = {"filter": "filter:tasks:total_annotations", "operator": "equal", "type": "Number", "value": 0}
    assert [one["id"] for one in listed(here, order="tasks:predictions_score", filters=[unlabeled])[:5]] == chosen


@pytest.fixture
def encoder(missing: Callable[[str], None]) -> str:
    """A text encoder whose weights come as a package."""
    from prelabel.errors import PrelabelError
    from prelabel.loader import load_wrapper

    try:
        load_wrapper("minilm").fingerprint()
    except PrelabelError as error:
        missing(str(error))
    return "minilm"


@pytest.fixture
def client_of(label_studio: LabelStudioServer) -> Iterator[Callable[[Path], Client]]:
    """Opens the registry of a data directory."""
    opened: list[Client] = []

    def open_one(data_dir: Path) -> Client:
        settings = load_settings(
            data_dir=data_dir, label_studio_url=label_studio.url, label_studio_api_key=label_studio.token
        )
        opened.append(Client(settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
