"""Embeddings of data rows stand in the registry, made once for each content; what they say goes into Label Studio."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from prelabel import Choice
from prelabel.cli import cli
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.encoding import Encoder
from prelabel.errors import ModelLoadError
from prelabel.selection import SelectionError

SENTIMENT = (
    '<View><Text name="text" value="$text"/><Choices name="about" toName="text" choice="single">'
    '<Choice value="sea"/><Choice value="sky"/></Choices></View>'
)
CODE = '''
calls = []
max_batch_size = 8


def embed(texts: list[str]):
    """Which of these words a text has, and how long it is."""
    calls.append(len(texts))
    if any("unreadable" in text for text in texts):
        raise ValueError("cannot read it")
    words = ("sea", "wave", "sky", "cloud")
    return [[text.count(word) for word in words] + [0.01 * len(text)] for text in texts]


def predict(texts: list[str]):
    return ["sea" if "sea" in text else "sky" for text in texts]


def short(texts: list[str]):
    return np.ones((len(texts) - 1, 3))
'''
SEA, SKY = "the sea and its wave", "the sky and its cloud"


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "words.py").write_text(CODE, encoding="utf-8")
    return str(tmp_path / "words.py")


def make_run(client: Client, texts: dict[str, str], answers: dict[str, str]) -> ModelRun:
    client.import_data_rows("texts", [{"row_data": text, "global_key": key} for key, text in texts.items()])
    model = client.create_model("about", client.create_ontology(SENTIMENT))
    run = model.create_model_run("v1")
    run.upsert_data_rows(global_keys=list(texts))
    said = {key: Choice(answer, score=0.8) for key, answer in answers.items()}
    assert not run.add_predictions("import", said).wait_till_done().failed
    return run


def sea_and_sky(client: Client, count: int = 20) -> ModelRun:
    """Texts 0, 2, 4 ... are about the sea, the others about the sky."""
    texts = {f"t{i:02}": f"{(SEA, SKY)[i % 2]} {'!' * i}" for i in range(count)}
    return make_run(client, texts, {key: ("sea", "sky")[i % 2] for i, key in enumerate(texts)})


def label(run: ModelRun, labels: dict[str, str]) -> None:
    rows = [
        {"dataRow": {"globalKey": key}, "uuid": f"l-{key}", "name": "about", "answer": {"name": said}}
        for key, said in labels.items()
    ]
    assert not run.upsert_labels(rows).errors


# -- encoders


def test_a_function_is_an_encoder_and_so_is_a_model_with_embed_beside_it(file: str) -> None:
    alone, beside = Encoder(f"{file}:embed"), Encoder(f"{file}:predict")
    assert alone([SEA]).tolist() == beside([SEA]).tolist()
    assert alone([SEA])[0] == pytest.approx([1, 1, 0, 0, 0.2])
    assert alone([SEA]).dtype == np.float32
    assert alone.name.startswith("words-")
    assert alone.name != beside.name
    assert beside.wrapper.predict([SEA]) == ["sea"]


def test_what_cannot_embed_says_so(file: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import prelabel\n\n\nclass Mine(prelabel.ModelWrapper):\n    def predict(self, batch):\n        return []\n",
        encoding="utf-8",
    )
    with pytest.raises(ModelLoadError, match="cannot embed: Mine has no method") as found:
        Encoder(str(tmp_path / "model.py"))
    assert "minilm" in found.value.hint


def test_a_result_that_is_no_matrix_is_a_failure_that_says_so(sqlite_client: Client, tmp_path: Path) -> None:
    (tmp_path / "short.py").write_text(
        "import numpy as np\n\n\ndef encode(texts: list[str]):\n    return np.ones((len(texts) - 1, 3))\n",
        encoding="utf-8",
    )
    run = sea_and_sky(sqlite_client, 3)
    done = run.embed(f"{tmp_path / 'short.py'}:encode")
    assert (done.embedded, done.failed) == (0, 3)
    assert "returned (0,) for a batch of 1" in done.reasons[0]


# -- the registry


def test_only_what_is_new_or_changed_is_embedded(client: Client, file: str) -> None:
    run = sea_and_sky(client)
    seen: list[tuple[int, int]] = []
    done = run.embed(f"{file}:embed", progress=lambda *told: seen.append(told))
    assert (done.embedded, done.unchanged, done.failed) == (20, 0, 0)
    assert seen[-1] == (20, 20)
    client.import_data_rows("texts", [{"row_data": "a cloud", "global_key": "t00"}])
    client.import_data_rows("texts", [{"row_data": "new: a wave", "global_key": "new"}])
    run.upsert_data_rows(global_keys=["new"])
    again = run.embed(f"{file}:embed")
    assert (again.embedded, again.unchanged) == (2, 19)
    numbers = np.array(client.registry.numbers_of(["new", "t01", "t00"]), dtype=np.int64)
    vectors = client.registry.vectors(done.encoder, np.append(numbers, 10**9))
    assert vectors[:, :4].tolist()[:3] == [[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]]
    assert np.isnan(vectors[3]).all(), "there is no such data row"
    assert client.registry.encoders(run.id) == {done.encoder: 21}
    assert client.registry.delete_embeddings(done.encoder) == 21


def test_one_data_row_that_fails_costs_no_other_its_embedding(sqlite_client: Client, file: str) -> None:
    texts = {f"t{i}": SEA for i in range(10)} | {"bad": "unreadable"}
    run = make_run(sqlite_client, texts, dict.fromkeys(texts, "sea"))
    done = run.embed(f"{file}:embed")
    assert (done.embedded, done.failed) == (10, 1)
    (reason,) = done.reasons
    assert reason.startswith("data row bad: ")
    assert "cannot read it" in reason
    assert run.embed(f"{file}:embed").unchanged == 10


def test_pictures_are_read_before_they_are_embedded(sqlite_client: Client, tmp_path: Path) -> None:
    from PIL import Image

    from prelabel.settings import load_settings

    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        Image.new("RGB", (9, 7), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "colours.py").write_text(
        "import numpy as np\nfrom PIL import Image\n\n\ndef embed(images: list[Image.Image]):\n"
        "    return [np.asarray(one).mean((0, 1)) for one in images]\n",
        encoding="utf-8",
    )
    settings = load_settings(data_dir=tmp_path / "pictures", local_files_root=str(tmp_path))
    with Client(settings) as client:
        rows = [
            {"row_data": f"/data/local-files/?d={name}.png", "global_key": name, "media_type": "image"}
            for name in ("red", "blue", "none")
        ]
        client.import_data_rows("pictures", rows)
        run = client.create_model("m").create_model_run("v")
        run.upsert_data_rows(global_keys=["red", "blue", "none"])
        done = run.embed(f"{tmp_path / 'colours.py'}:embed")
        assert (done.embedded, done.failed) == (2, 1)
        numbers = np.array(client.registry.numbers_of(["red", "blue"]), dtype=np.int64)
        assert client.registry.vectors(done.encoder, numbers).tolist() == [[255, 0, 0], [0, 0, 255]]


# -- what they are for


def test_diversity_begins_with_what_no_label_covers(client: Client, file: str) -> None:
    run = sea_and_sky(client)
    label(run, {f"t{i:02}": "sea" for i in range(0, 10, 2)})
    ranking = run.rank_unlabeled("diversity", encoder=f"{file}:embed", count=2)
    (first, _) = client.registry.data_rows_at(ranking.ids[ranking.order[:2]].tolist())
    assert "sky" in first.row_data
    with pytest.raises(SelectionError, match="needs embeddings"):
        run.rank_unlabeled("diversity")


def test_clusters_neighbours_and_suspicions_are_written(client: Client, studio: Any, file: str) -> None:
    run = sea_and_sky(client, 40)
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    labels = {f"t{i:02}": ("sea", "sky")[i % 2] for i in range(30)}
    label(run, labels | {"t04": "sky"})
    done = run.enrich(project, encoder=f"{file}:embed", clusters=2, neighbors=3)
    assert (done.written.written, done.clusters, done.doubted, done.notes) == (40, 2, 30, ())
    assert done.embedded is not None
    assert done.embedded.embedded == 40
    ((suspect),) = done.suspects
    assert (suspect.data_row, suspect.label, suspect.likely) == ("t04", "sky", "sea")

    clusters = studio.by_text("cluster")
    assert len({clusters[text] for text in clusters if "sea" in text}) == 1
    assert set(clusters.values()) == {0, 1}
    for text, near in studio.by_text("neighbors").items():
        assert len(near) == 3
        assert studio.task_of(text) not in near
        assert all(("sea" in text) == ("sea" in studio.tasks[task]["data"]["text"]) for task in near)
    doubts = {text: value for text, value in studio.by_text("mislabeling").items() if value is not None}
    assert len(doubts) == 30
    assert max(doubts, key=lambda text: doubts[text]) == studio.tasks[suspect.task]["data"]["text"]
    assert set(studio.by_text("score").values()) == {0.8}, "the score is left alone"

    again = run.enrich(project, encoder=f"{file}:embed", clusters=2, neighbors=3)
    assert (again.written.written, again.written.unchanged, studio.changes) == (0, 40, 40)


def test_a_changed_task_is_embedded_again(sqlite_client: Client, studio: Any, file: str) -> None:
    run = sea_and_sky(sqlite_client, 4)
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    assert run.embed(f"{file}:embed", project_id=project).embedded == 4
    studio.tasks[studio.task_of(f"{SEA} ")]["data"]["text"] = "a cloud"
    done = run.embed(f"{file}:embed", project_id=project)
    assert (done.embedded, done.unchanged) == (1, 3)


def test_without_an_encoder_the_runs_own_probabilities_doubt_labels(sqlite_client: Client, studio: Any) -> None:
    run = sea_and_sky(sqlite_client)
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    assert run.enrich(project).doubted == 0, "nothing is labeled"
    label(run, {f"t{i:02}": ("sea", "sky")[i % 2] for i in range(20)} | {"t04": "sky"})
    done = run.enrich(project)
    assert (done.doubted, [one.data_row for one in done.suspects]) == (20, ["t04"])
    with pytest.raises(SelectionError, match="needs an encoder"):
        run.enrich(project, mislabeling="embeddings")
    assert run.enrich(project, mislabeling="no").doubted == 0


def test_the_terminal_embeds_enriches_and_chooses(
    sqlite_client: Client, studio: Any, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRELABEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    run = sea_and_sky(sqlite_client)
    project = studio.add_project(SENTIMENT)
    run.send_to_project(project)
    label(run, {f"t{i:02}": ("sea", "sky")[i % 2] for i in range(16)} | {"t04": "sky"})

    def said(*arguments: str, code: int = 0) -> list[str]:
        done = CliRunner().invoke(cli, ["runs", *arguments], prog_name="prelabel")
        assert done.exit_code == code, done.output
        return done.stdout.splitlines()

    where = ("--project", str(project))
    assert said("embed", "v1", f"{file}:embed")[-1].endswith("20 embedded, 0 were, 0 failed")
    enriched = said("enrich", "v1", *where, "--encoder", f"{file}:embed", "--neighbors", "2")
    assert enriched[1].split()[1:4] == ["t04", "sky", "sea"]
    assert enriched[-1].endswith("16 labels looked at")
    chosen = said("select", "v1", *where, "--strategy", "diversity", "--encoder", f"{file}:embed", "--count", "1")
    assert chosen[0].split() == ["TASK", "DATA", "ROW", "PRIORITY", "ARM"]
    doubted = said("select", "v1", *where, "--strategy", "mislabeling", "--encoder", f"{file}:embed", "--count", "1")
    assert doubted[1].split()[1] == "t04"


def test_an_encoder_that_sets_up_logging_leaves_ours_alone(tmp_path: Path) -> None:
    code = "import logging\nlogging.basicConfig(level=1, force=True)\n" + CODE
    (tmp_path / "loud.py").write_text(code, encoding="utf-8")
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    Encoder(f"{tmp_path / 'loud.py'}:embed").close()
    assert (root.level, root.handlers) == before


def test_where_nothing_is_unlabeled_no_strategy_lacks_anything(sqlite_client: Client, studio: Any) -> None:
    run = sea_and_sky(sqlite_client)
    project = studio.add_project(SENTIMENT)
    assert run.select(project, "margin").first == ()
    with pytest.raises(SelectionError, match="No strategy"):
        run.select(project, "nonsense")
