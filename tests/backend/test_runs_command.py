"""``prelabel runs`` from the terminal: the seven steps, and what comes after."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]

CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="boxes" toName="image">
<Label value="Cat"/><Label value="Dog"/></RectangleLabels></View>"""


def box(key: str, uuid: str, name: str, left: float, confidence: float | None = None) -> dict[str, object]:
    """A box of 10 by 10 pixels as a Labelbox row."""
    row: dict[str, object] = {
        "dataRow": {"globalKey": key},
        "uuid": uuid,
        "name": name,
        "bbox": {"top": 0.0, "left": left, "height": 10.0, "width": 10.0},
    }
    return row if confidence is None else {**row, "confidence": confidence}


def ndjson(file: Path, rows: list[dict[str, object]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


TRUTH = [box("a", "t1", "Cat", 0), box("a", "t2", "Dog", 50), box("b", "t3", "Cat", 0), box("b", "t4", "Cat", 100)]
GOOD = [box("a", "p1", "Cat", 1, 0.9), box("a", "p2", "Dog", 50, 0.8), box("b", "p3", "Cat", 0, 0.95)]
POOR = [box("a", "q1", "Dog", 0, 0.9), box("a", "q2", "Dog", 55, 0.8), box("b", "q3", "Cat", 300, 0.97)]


@pytest.fixture
def run(command_line: Run) -> Run:
    """Runs ``prelabel runs``."""
    return lambda *arguments: command_line("runs", *arguments)


@pytest.fixture
def two_runs(run: Run, tmp_path: Path) -> Run:
    """The command, with a model whose runs `good` and `poor` have predictions and labels of the same two images."""
    (tmp_path / "label_config.xml").write_text(CONFIG, encoding="utf-8")
    rows = [{"row_data": f"https://example.com/{key}.png", "global_key": key, "media_type": "image"} for key in "ab"]

    def done(*arguments: str) -> str:
        command = run(*arguments)
        assert command.exit_code == 0, command.output
        return command.stdout

    done("create-model", "pets", "--label-config", "label_config.xml")
    for name, predictions in (("good", GOOD), ("poor", POOR)):
        done("create", "pets", name)
        done("import-rows", "photos", ndjson(tmp_path / "rows.ndjson", rows), "--run", name)
        done("labels", name, ndjson(tmp_path / "truth.ndjson", TRUTH))
        said = done("import", name, ndjson(tmp_path / "predictions.ndjson", predictions), "--name", f"import-{name}")
        assert said == f"import-{name}: FINISHED, 3 of 3 taken, 0 refused\n"
    return run


def test_runs_are_listed_and_the_help_names_the_next_step(two_runs: Run) -> None:
    listed = two_runs().stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [["RUN", "MODEL"], ["poor", "pets"], ["good", "pets"]]
    assert [run["run"] for run in json.loads(two_runs("list", "--json").stdout)] == ["poor", "good"]


def test_an_empty_registry_says_how_to_begin(run: Run) -> None:
    assert "prelabel runs create" in run().stdout


def test_metrics_are_a_table_of_classes_and_confusions(two_runs: Run) -> None:
    said = two_runs("metrics", "poor").stdout
    assert [line.split() for line in said.splitlines() if line.startswith(("all", "Cat", "Dog"))][:3] == [
        ["all", "0", "3", "4", "-", "0.000", "0.000", "0.000", "0.042"],
        ["Cat", "0", "1", "3", "-", "0.000", "0.000", "0.000", "0.000"],
        ["Dog", "0", "2", "1", "-", "0.000", "0.000", "0.000", "0.167"],
    ]
    good = json.loads(two_runs("metrics", "good", "--json").stdout)
    assert (good["run"]["tp"], good["run"]["fp"], good["run"]["fn"]) == (3, 0, 1)
    assert good["classes"]["Dog"]["f1"] == 1.0


def test_worst_rows_mistakes_and_corrections_are_shown(two_runs: Run) -> None:
    assert two_runs("worst", "poor", "--view", "candidate_mislabels").stdout.splitlines()[1].split() == [
        "0.970", "b", "-",
    ]  # fmt: skip
    counts = json.loads(two_runs("mistakes", "poor", "--json").stdout)
    assert counts["Dog"] == {"localisation": 1, "class": 1}
    assert counts["Cat"] == {"background": 1, "missed": 2}
    corrected = json.loads(two_runs("corrections", "good", "--json").stdout)
    assert (corrected["Cat"]["accepted"], corrected["Cat"]["edited"], corrected["Cat"]["added"]) == (1, 1, 1)
    assert corrected["Cat"]["trust_from"] == 0.9


def test_runs_are_compared_and_a_condition_ends_with_its_exit_code(two_runs: Run) -> None:
    first, *_ = json.loads(two_runs("compare", "good", "poor", "--json").stdout)
    assert (first["first"]["value"], first["second"]["value"], first["data_rows"]) == (0.0, pytest.approx(6 / 7), 2)
    assert two_runs("check", "good", "--if", "f1 >= poor.f1 and recall[Dog] == 1").exit_code == 0
    failed = two_runs("check", "poor", "--if", "f1 >= good.f1")
    assert failed.exit_code == 1
    assert failed.stdout == "f1 (0) >= good.f1 (0.8571): does not hold\n"
    assert two_runs("check", "good", "--if", "f1 >= nobody.f1").exit_code == 1


def test_a_run_is_exported_and_deleted(two_runs: Run, tmp_path: Path) -> None:
    assert two_runs("export", "good", "out.ndjson", "--format", "ndjson").exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text(encoding="utf-8").splitlines()]
    assert sorted(rows, key=lambda row: row["uuid"]) == GOOD
    assert two_runs("delete", "good").exit_code == 0
    assert two_runs("metrics", "good").exit_code == 1


def test_a_refused_line_is_explained_and_costs_no_other(two_runs: Run, tmp_path: Path) -> None:
    lines = [box("a", "n1", "Cat", 0, 0.5), box("a", "n2", "Bird", 0, 0.5), box("a", "n3", "Cat", 0, 1.5)]
    done = two_runs("import", "good", ndjson(tmp_path / "more.ndjson", lines))
    assert done.exit_code == 1
    assert done.stdout == "more.ndjson: FINISHED, 1 of 3 taken, 2 refused\n"
    assert [line.split(",")[0] for line in done.stderr.splitlines()[::2]] == ["line 2", "line 3"]
    assert "Bird" in done.stderr.splitlines()[0]
    assert [line.startswith("  Fix: ") for line in done.stderr.splitlines()] == [False, True, False, True]
    assert "Traceback" not in done.stderr


def test_a_data_row_of_another_run_is_told_from_one_that_does_not_exist(two_runs: Run, tmp_path: Path) -> None:
    assert two_runs("create", "pets", "empty").exit_code == 0
    refused = two_runs("import", "empty", ndjson(tmp_path / "p.ndjson", [GOOD[0], box("nobody", "n", "Cat", 0)]))
    first, _, second, _ = refused.stderr.splitlines()
    assert first == 'line 1, uuid p1: dataRow.globalKey "a" is a data row, but not of this run.'
    assert second == 'line 2, uuid n: dataRow.globalKey "nobody" is no data row here.'


def test_known_data_rows_are_put_into_a_run_under_another_datasets_name(two_runs: Run, tmp_path: Path) -> None:
    assert two_runs("create", "pets", "third").exit_code == 0
    rows: list[dict[str, object]] = [{"row_data": f"{key}.png", "global_key": key} for key in "ab"]
    done = two_runs("import-rows", "others", ndjson(tmp_path / "rows.ndjson", rows), "--run", "third")
    assert done.stdout == "The dataset others has 2 data rows.\n"
    assert two_runs("import", "third", ndjson(tmp_path / "p.ndjson", GOOD)).exit_code == 0


def test_data_rows_are_put_into_splits_by_key_by_file_and_by_condition(two_runs: Run, tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("a\n\n", encoding="utf-8")
    assert "1 data rows are in the split test now" in two_runs("split", "poor", "test", "--keys", "keys.txt").stdout
    assert two_runs("split", "poor", "validation", "--where", "max_confidence > 0.95").exit_code == 0
    assert json.loads(two_runs("metrics", "poor", "--split", "validation", "--json").stdout)["run"]["fn"] == 2
    out = ("export", "poor", "out.ndjson", "--format", "ndjson")
    assert two_runs(*out, "--split", "test").stdout == "Wrote 2 to out.ndjson.\n"
    assert two_runs(*out, "--split", "test", "--split", "validation").stdout == "Wrote 3 to out.ndjson.\n"
    assert two_runs("split", "poor", "test").exit_code == 2
    assert "'c'" in two_runs("split", "poor", "test", "--key", "c").stderr


def test_runs_are_compared_in_slices(two_runs: Run) -> None:
    two_runs("save-slice", "pets", "missed", "fn > 0")
    done = two_runs("compare", "good", "poor", "--slice", "missed", "--slice", "fp > 5", "--json")
    assert {line["slice"]: line["data_rows"] for line in json.loads(done.stdout)} == {"": 2, "missed": 1}
    assert done.stderr == "No data row of 'fp > 5' counts in both runs.\n"
    assert "(all)" in two_runs("compare", "good", "poor", "--slice", "missed").stdout


def test_a_report_fits_a_narrow_terminal_with_whole_names_and_numbers() -> None:
    from rich.console import Console

    from prelabel.cli.run_report_tables import _table

    console = Console(width=60, file=io.StringIO())
    head = ("Class", "Predicted", "Mean IoU over annotations", "IoU of pairs", "Start off")
    with console.capture() as shown:
        _table(console, "Ends", head, [("a class with a long name of its own", "1234567", "0.500", "-0.123", "12.345")])
    assert max(map(len, shown.get().splitlines())) <= 60
    assert "…" not in shown.get()
    for whole in ("1234567", "0.500", "-0.123", "12.345", "Predicted", "annotations"):
        assert whole in shown.get()


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "good", "nowhere/out.json", "--format", "coco"),
        ("report", "good", "--plot", "nowhere/out.png"),
        ("create-model", "x", "--label-config", "binary"),
        ("create-model", "x", "--ontology", "binary"),
        ("import-rows", "x", "binary"),
    ],
)
def test_files_that_cannot_be_read_or_written_are_named_without_a_traceback(
    two_runs: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "binary").write_bytes(b"\xcb\x00\xff")
    failed = two_runs(*arguments)
    assert failed.exit_code in {1, 2}
    assert "nowhere/out" in failed.stderr or "binary" in failed.stderr
    assert "unexpected" not in failed.stderr


def test_predictions_are_imported_from_a_pipe(two_runs: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "".join(json.dumps(row) + "\n" for row in GOOD)
    writer = threading.Thread(target=lambda: pipe.write_text(text, encoding="utf-8"))
    writer.start()
    done = two_runs("import", "poor", str(pipe))
    writer.join()
    assert done.stdout == "pipe: FINISHED, 3 of 3 taken, 0 refused\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("metrics", "nobody"), "nobody"),
        (("create", "nobody", "v1"), "nobody"),
        (("create-model", "x"), "--label-config"),
        (("import-rows", "x"), "--project"),
        (("labels", "x"), "--project"),
    ],
)
def test_what_does_not_exist_or_is_missing_is_said_without_a_traceback(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    failed = run(*arguments)
    assert failed.exit_code in {1, 2}
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr


def test_every_command_asks_a_server_that_is_named(
    two_runs: Run, backend: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = backend(data_dir=tmp_path / "data", api_keys="a-key")
    refused = two_runs("metrics", "good", "--server", server.url)
    assert refused.exit_code == 1
    assert "PRELABEL_API_KEY" in refused.stderr
    monkeypatch.setenv("PRELABEL_API_KEY", "a-key")
    monkeypatch.setenv("PRELABEL_DATA_DIR", str(tmp_path / "nothing"))

    def done(*arguments: str) -> str:
        command = two_runs(*arguments, "--server", server.url)
        assert command.exit_code == 0, command.output
        return command.stdout

    assert [run["run"] for run in json.loads(done("list", "--json")) if run["model"] == "pets"] == ["poor", "good"]
    assert json.loads(done("metrics", "good", "--json"))["run"]["tp"] == 3
    assert json.loads(done("mistakes", "poor", "--json"))["Dog"] == {"localisation": 1, "class": 1}
    assert json.loads(done("corrections", "good", "--json"))["Cat"]["trust_from"] == 0.9
    assert "0.970" in done("worst", "poor", "--view", "candidate_mislabels")
    assert json.loads(done("compare", "good", "poor", "--json"))[0]["data_rows"] == 2
    assert "good: 2 data rows" in done("report", "good")
    done("save-slice", "pets", "wrong", "fp > 0")
    assert len(json.loads(done("slice", "poor", "wrong", "--json"))) == 2
    assert "wrong" in done("slices", "pets")
    done("check", "good", "--if", "f1 >= poor.f1")
    done("export", "good", "out.ndjson", "--format", "ndjson")
    assert len((tmp_path / "out.ndjson").read_text(encoding="utf-8").splitlines()) == 3
    done("create", "pets", "third")
    assert "3 of 3 taken" in done("import", "good", ndjson(tmp_path / "again.ndjson", GOOD))
    done("delete", "third")
    assert not (tmp_path / "nothing").exists()
    for wrong in (("--server", "ftp://x"), ("--server", server.url, "--data-dir", "x")):
        assert two_runs("metrics", "good", *wrong).exit_code == 2


def test_a_runs_status_and_config_are_set_and_shown(two_runs: Run) -> None:
    changed = two_runs("set", "good", "--status", "FAILED", "--error", "no memory", "--metadata", "epoch=3")
    assert changed.exit_code == 0, changed.output
    assert two_runs("set", "good", "--config", "lr=0.1", "--config", "optimizer=adam").exit_code == 0
    shown = json.loads(two_runs("show", "good", "--json").stdout)
    assert (shown["status"], shown["config"], shown["metadata"]) == (
        "FAILED", {"lr": 0.1, "optimizer": "adam"}, {"epoch": 3},
    )  # fmt: skip
    assert two_runs("set", "good", "--reset-config").exit_code == 0
    assert json.loads(two_runs("show", "good", "--json").stdout)["config"] == {}
    text = two_runs("show", "good").stdout
    assert "stage       candidate" in text
    assert "  epoch         3" in text


def test_what_cannot_be_set_is_said(two_runs: Run) -> None:
    for arguments, said in (
        ((), "Give --status"),
        (("--config", "lr"), "is no KEY=VALUE"),
        (("--metadata", "a=1"), "go with --status"),
    ):
        refused = two_runs("set", "good", *arguments)
        assert refused.exit_code == 2
        assert said in refused.output


def test_promoting_from_the_terminal(two_runs: Run) -> None:
    refused = two_runs("promote", "poor", "--if", "f1 > good.f1")
    assert refused.exit_code == 1
    assert "poor is not promoted." in refused.output
    promoted = two_runs("promote", "good", "--if", "f1 > poor.f1")
    assert (promoted.exit_code, promoted.stdout.splitlines()[-1]) == (0, "good is promoted: it is what people see.")
    assert two_runs("promote", "poor").exit_code == 0
    assert two_runs("rollback", "pets").stdout == "good is promoted: it is what people see.\n"
    assert two_runs("shadow", "good").exit_code == 2
    assert two_runs("demote", "good").stdout == "good is a candidate.\n"
    assert two_runs("shadow", "good").stdout == "good is in shadow.\n"
    assert {one["run"]: one["stage"] for one in json.loads(two_runs("list", "--json").stdout)} == {
        "good": "shadow", "poor": "candidate",
    }  # fmt: skip
