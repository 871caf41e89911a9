"""A run's report against the libraries that its parts stand on, on real and small data taken through the client."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from click.testing import CliRunner
from faster_coco_eval import COCO, COCOeval_faster
from scipy import stats
from sklearn import metrics as sk
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prelabel import Choice, DateTime, Mask, Number, Ranking, Rating, Segment, Span, Text
from prelabel.cli.run_details import report_command
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.metrics import bootstrap
from prelabel.metrics.detection import average_precision
from prelabel.metrics.instances import Instance
from prelabel.metrics.spans import span_scores
from prelabel.metrics.texts import TextTally, compare_texts
from prelabel.runs.reports import PAGE, Report

needs_nervaluate = pytest.mark.skipif(
    importlib.util.find_spec("nervaluate") is None, reason="nervaluate needs Python 3.11"
)

NAMES = ("cat", "dog", "cow")
BOXES = {"tools": [{"tool": "rectangle", "name": name} for name in NAMES], "classifications": []}
FLOWERS = (
    '<View><Text name="text" value="$text"/><Choices name="species" toName="text" choice="single">'
    '<Choice value="setosa"/><Choice value="versicolor"/><Choice value="virginica"/></Choices></View>'
)
LETTERS = """<View><Text name="text" value="$text"/>
<Labels name="names" toName="text"><Label value="PER"/><Label value="LOC"/></Labels>
<Choices name="mood" toName="text" choice="single"><Choice value="glad"/><Choice value="sad"/></Choices>
<TextArea name="gist" toName="text"/><Rating name="stars" toName="text" maxRating="5"/>
<Number name="price" toName="text"/><DateTime name="day" toName="text" only="date" format="%Y-%m-%d"/></View>"""
TALK = """<View><Audio name="audio" value="$audio"/>
<Labels name="who" toName="audio"><Label value="anna"/><Label value="ben"/></Labels></View>"""
MASKS = """<View><Image name="image" value="$image"/><BrushLabels name="parts" toName="image">
<Label value="cat"/><Label value="dog"/></BrushLabels></View>"""

SENTENCES = (
    "Ada Lovelace wrote to Charles Babbage in London",
    "Marie Curie left Warsaw and came to Paris",
    "The train from Vienna to Prague was late",
    "Nobody was at home",
)
ENTITIES: tuple[list[tuple[int, int, str]], ...] = (
    [(0, 12, "PER"), (22, 37, "PER"), (41, 47, "LOC")],
    [(0, 11, "PER"), (17, 23, "LOC"), (36, 41, "LOC")],
    [(15, 21, "LOC"), (25, 31, "LOC")],
    [],
)
FOUND = (
    [(0, 3, "PER"), (22, 37, "PER"), (41, 47, "PER")],
    [(0, 11, "PER"), (17, 23, "LOC")],
    [(10, 21, "LOC"), (25, 31, "LOC")],
    [(0, 6, "PER")],
)


def run_of(
    client: Client,
    config: Any,
    rows: Mapping[str, Any],
    predicted: Any,
    annotated: Any,
    *,
    media: str = "TEXT",
    facts: Mapping[str, int] | None = None,
) -> ModelRun:
    """A run over these data rows by global key; both sides are outputs by key, or Labelbox rows."""
    data = [
        {"row_data": value, "global_key": key, "media_type": media, "facts": facts or {}} for key, value in rows.items()
    ]
    client.import_data_rows("rows", data)
    run = client.create_model("model", client.create_ontology(config)).create_model_run("v1")
    run.upsert_data_rows(global_keys=list(rows))
    for job in (run.add_predictions("predictions", predicted), run.upsert_labels(annotated)):
        job.wait_till_done()
        assert (job.state, list(job.errors)) == ("FINISHED", [])
    return run


# -- boxes


def drawn(seed: int, keys: Sequence[str], prefix: str) -> list[dict[str, Any]]:
    """Boxes as Labelbox rows: of one place for both sides, moved a little by the seed."""
    places, dice, rows = random.Random(1), random.Random(seed), []
    for key in keys:
        for place in range(places.randint(1, 4)):
            left, top, name = places.uniform(10, 300), places.uniform(10, 300), places.choice(NAMES)
            if dice.random() < 0.15:
                name = dice.choice(NAMES)
            bbox = {"left": left + dice.uniform(-6, 6), "top": top + dice.uniform(-6, 6), "width": 40, "height": 30}
            row = {"dataRow": {"globalKey": key}, "uuid": f"{prefix}{key}-{place}", "name": name, "bbox": bbox}
            rows.append({**row, "confidence": dice.random()} if prefix == "p" else row)
    return rows


@pytest.fixture
def boxes(sqlite_client: Client) -> ModelRun:
    """More data rows than a page has."""
    rows = {f"k{place}": f"https://example.com/{place}.png" for place in range(PAGE + 40)}
    predicted, annotated = drawn(2, list(rows), "p"), drawn(3, list(rows), "a")
    return run_of(sqlite_client, BOXES, rows, predicted, annotated, media="IMAGE")


def coco_stats(predicted: list[dict[str, Any]], annotated: list[dict[str, Any]]) -> dict[str, float]:
    images = sorted({row["dataRow"]["globalKey"] for row in annotated})
    sides: list[list[dict[str, Any]]] = [[], []]
    for entries, rows in zip(sides, (predicted, annotated), strict=True):
        for number, row in enumerate(rows, 1):
            corners = [row["bbox"][side] for side in ("left", "top", "width", "height")]
            entries.append(
                {
                    "id": number, "image_id": images.index(row["dataRow"]["globalKey"]) + 1, "iscrowd": 0,
                    "category_id": NAMES.index(row["name"]) + 1, "bbox": corners, "area": corners[2] * corners[3],
                    "score": row.get("confidence", 1.0),
                }
            )  # fmt: skip
    truth = COCO(
        {
            "images": [{"id": place + 1} for place in range(len(images))],
            "categories": [{"id": place, "name": name} for place, name in enumerate(NAMES, 1)],
            "annotations": sides[1],
        }
    )
    evaluation = COCOeval_faster(truth, truth.loadRes(sides[0]), iouType="bbox")
    evaluation.run()
    found: dict[str, float] = evaluation.stats_as_dict
    return found


def test_boxes_have_average_precision_intervals_curves_and_calibration(boxes: ModelRun) -> None:
    made = boxes.report(confidence=0.3)
    keys = [row.data_row.global_key or "" for row in boxes.model_run_data_rows()]
    predicted, annotated = drawn(2, keys, "p"), drawn(3, keys, "a")
    expected = coco_stats(predicted, annotated)
    assert made.boxes is not None
    assert made.boxes.all.as_json() == pytest.approx(
        {"ap": expected["AP_all"], "ap50": expected["AP_50"], "ap75": expected["AP_75"]}
    )
    assert set(made.boxes.classes) == set(NAMES)
    assert 0.1 < expected["AP_all"] < 1

    assert made.metrics == boxes.metrics(confidence=0.3)
    assert made.intervals is not None
    assert made.class_intervals is not None
    for name, counts in [(None, made.metrics.run), *made.metrics.classes.items()]:
        intervals = made.intervals if name is None else made.class_intervals[name]
        for what in bootstrap.RATIOS:
            one = intervals[what]
            assert one.value == pytest.approx(getattr(counts, what))
            assert one.low is not None
            assert one.value is not None
            assert one.high is not None
            assert one.low < one.value < one.high

    assert made.curves is not None
    assert made.calibration is not None
    for name, curve in made.curves.items():
        at = {point.confidence: (point.tp, point.fp, point.fn) for point in curve.points}
        counts = made.metrics.classes[name]
        assert at[0.3] == (counts.tp, counts.fp, counts.fn)
        assert curve.best is not None
        assert curve.best.f1 == max(point.f1 or 0 for point in curve.points)
    assert made.calibration.count == len(predicted)
    assert made.calibration.brier is not None
    assert 0 < made.calibration.brier < 1
    assert (made.spans, made.texts, made.questions, made.times, made.masks, made.refused) == (*[None] * 5, {})


def test_intervals_of_rows_that_are_alike_are_those_of_all_rows() -> None:
    dice = np.random.default_rng(0)
    rows = dice.integers(0, 3, (300, 3))
    patterns, times = np.unique(rows, axis=0, return_counts=True)
    short = bootstrap.intervals(patterns, times, resamples=4000)
    for name in bootstrap.RATIOS:
        whole = bootstrap.interval(rows, name, resamples=4000)
        assert short[name].value == pytest.approx(whole.value)
        assert short[name].low == pytest.approx(whole.low, abs=0.005)
        assert short[name].high == pytest.approx(whole.high, abs=0.005)
    assert bootstrap.intervals([], [])["f1"].value is None


def test_what_is_added_page_by_page_equals_what_is_compared_at_once() -> None:
    dice = random.Random(5)

    def spans() -> list[Instance]:
        starts = dice.sample(range(0, 60, 6), dice.randint(0, 4))
        return [Instance("span", dice.choice(NAMES), (at, at + dice.randint(1, 8))) for at in starts]

    rows = {str(place): (spans(), spans()) for place in range(40)}
    keys = list(rows)
    pages = [{key: rows[key] for key in some} for some in (keys[:7], keys[7:8], keys[8:])]
    whole, parts = span_scores(rows), [span_scores(page) for page in pages]
    added = (parts[0] + parts[1] + parts[2]).as_json()
    assert added["boundaries"] == pytest.approx(whole.as_json()["boundaries"])
    assert (added["all"], added["classes"]) == (whole.as_json()["all"], whole.as_json()["classes"])

    tally = TextTally()
    for ours, theirs in zip(*GISTS, strict=True):
        tally.add([ours], [theirs])
    assert tally.errors() == compare_texts(*GISTS)


def test_masks_are_kept_as_run_lengths_and_have_average_precision(sqlite_client: Client) -> None:
    def blob(left: int, name: str, **more: Any) -> Mask:
        array = np.zeros((90, 100), dtype=np.uint8)
        array[10:50, left : left + 30] = 1
        return Mask(array, name, **more)

    rows = {"a": "https://example.com/a.png", "b": "https://example.com/b.png"}
    said = {"a": [blob(2, "cat", score=0.9), blob(60, "dog", score=0.4)], "b": [blob(5, "cat", score=0.8)]}
    there = {"a": [blob(0, "cat"), blob(60, "dog")], "b": [blob(60, "cat")]}
    made = run_of(sqlite_client, MASKS, rows, said, there, media="IMAGE", facts={"width": 100, "height": 90}).report()
    assert made.masks is not None
    assert made.boxes is None
    # 28 of 32 columns are shared: right up to IoU 0.85; the other cat is missed, so that half the recall is reached
    assert made.masks.classes["dog"].ap == pytest.approx(1)
    assert made.masks.classes["cat"].ap50 == pytest.approx(51 / 101)
    assert made.masks.classes["cat"].ap == pytest.approx(51 / 101 * 8 / 10)


# -- answers


def test_choices_have_scikit_learn_s_scores_on_iris(sqlite_client: Client) -> None:
    iris = load_iris()
    names = [str(name) for name in iris.target_names]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    chances = cross_val_predict(model, iris.data, iris.target, cv=5, method="predict_proba")
    rows = {f"{place}": f"flower {place}" for place in range(len(iris.target))}
    said = {
        key: [Choice(names[int(row.argmax())], score=float(row.max()))] for key, row in zip(rows, chances, strict=True)
    }
    there = {key: [Choice(names[cls])] for key, cls in zip(rows, iris.target.tolist(), strict=True)}
    made = run_of(sqlite_client, FLOWERS, rows, said, there).report(confidence=0.0)

    guessed = [names[cls] for cls in chances.argmax(axis=1).tolist()]
    true = [names[cls] for cls in iris.target.tolist()]
    assert made.questions is not None
    assert made.calibration is not None
    scores = made.questions["species"]
    assert (scores.pairs, scores.unanswered) == (150, 0)
    assert scores.accuracy == pytest.approx(sk.accuracy_score(true, guessed))
    assert scores.macro_f1 == pytest.approx(sk.f1_score(true, guessed, average="macro"))
    assert scores.kappa == pytest.approx(sk.cohen_kappa_score(true, guessed))
    right = [ours == theirs for ours, theirs in zip(guessed, true, strict=True)]
    assert made.calibration.brier == pytest.approx(sk.brier_score_loss(right, chances.max(axis=1)))
    assert made.calibration.ece is not None
    assert made.calibration.ece < 0.2
    assert made.curves is not None
    assert made.curves["setosa"].best is not None
    assert made.curves["setosa"].best.f1 == pytest.approx(sk.f1_score(true, guessed, average=None)[0])


@needs_nervaluate
def test_each_kind_of_answer_has_its_own_errors(letters: ModelRun) -> None:
    nervaluate = importlib.import_module("nervaluate")
    made = letters.report()
    assert made.refused == {}
    assert made.spans is not None
    there, said = (
        [[{"label": name, "start": begin, "end": end - 1} for begin, end, name in spans] for spans in side]
        for side in (ENTITIES, FOUND)
    )
    expected = nervaluate.Evaluator(there, said, ["PER", "LOC"], loader="dict").evaluate()
    for scheme, name in (("strict", "strict"), ("exact", "exact"), ("partial", "partial"), ("type", "ent_type")):
        assert made.spans.all[scheme].f1 == pytest.approx(expected["overall"][name].f1)
        assert made.spans.classes["LOC"][scheme].recall == pytest.approx(expected["entities"]["LOC"][name].recall)
    assert made.texts is not None
    assert made.texts["gist"].wer == pytest.approx(jiwer.wer(GISTS[1], GISTS[0]))
    assert made.texts["gist"].cer == pytest.approx(jiwer.cer(GISTS[1], GISTS[0]))
    assert made.texts["gist"].exact == 0.25
    assert made.ratings is not None
    assert made.numbers is not None
    assert made.datetimes is not None
    stars = made.ratings["stars"]
    assert stars.mae == pytest.approx(sk.mean_absolute_error(STARS[1], STARS[0]))
    assert stars.kappa == pytest.approx(
        sk.cohen_kappa_score(STARS[1], STARS[0], weights="quadratic", labels=[1, 2, 3, 4, 5])
    )
    price = made.numbers["price"]
    assert price.rmse == pytest.approx(sk.root_mean_squared_error(PRICES[1], PRICES[0]))
    assert price.kappa is None
    assert (made.datetimes["day"].pairs, made.datetimes["day"].mae) == (4, 86400 / 4)
    assert made.questions is not None
    assert made.questions["mood"].accuracy == 0.75
    assert (made.boxes, made.rankings, made.times) == (None, None, None)


GISTS = (["a letter", "she moves", "train late", "empty"], ["a letter", "she moves away", "late train", "no one"])
STARS = ([4, 5, 1, 3], [5, 5, 1, 2])
PRICES = ([10.0, 2.5, 0.0, 7.0], [12.0, 2.5, 1.0, 7.0])
DAYS = (["2026-01-01"] * 4, ["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-01"])
MOODS = (["glad", "sad", "sad", "glad"], ["glad", "sad", "sad", "sad"])


@pytest.fixture
def letters(sqlite_client: Client) -> ModelRun:
    """Four sentences with spans and all sorts of answers."""
    rows = {f"s{place}": sentence for place, sentence in enumerate(SENTENCES)}
    sides = [
        {
            key: [
                *(Span(*span) for span in spans[place]),
                Choice(MOODS[side][place], control="mood"),
                Text(GISTS[side][place], control="gist"),
                Rating(STARS[side][place], control="stars"),
                Number(PRICES[side][place], control="price"),
                DateTime(DAYS[side][place], control="day"),
            ]
            for place, key in enumerate(rows)
        }
        for side, spans in ((0, FOUND), (1, ENTITIES))
    ]
    return run_of(sqlite_client, LETTERS, rows, *sides)


def test_segments_say_how_well_they_overlap_and_how_far_their_ends_are_off(sqlite_client: Client) -> None:
    rows = {"a": "https://example.com/a.wav", "b": "https://example.com/b.wav"}
    said = {
        "a": [Segment(0, 9, "anna", score=0.9), Segment(12, 20, "ben", score=0.8), Segment(0, 9, "ben", score=0.1)],
        "b": [],
    }
    there = {"a": [Segment(0, 10, "anna"), Segment(10, 20, "ben")], "b": [Segment(3, 4, "ben")]}
    made = run_of(sqlite_client, TALK, rows, said, there, media="AUDIO").report(iou=0.85)
    assert made.times is not None
    assert set(made.times) == {"segment"}
    anna, ben = (made.times["segment"].classes[name] for name in ("anna", "ben"))
    assert (anna.predicted, anna.annotated, anna.matched) == (1, 1, 1)
    assert (anna.iou, anna.start_error, anna.end_error) == (pytest.approx(0.9), 0.0, 1.0)
    assert (ben.predicted, ben.annotated, ben.pairs, ben.matched) == (1, 2, 1, 0)
    assert (ben.iou, ben.paired_iou) == (pytest.approx(0.4), pytest.approx(0.8))
    assert made.times["segment"].all.iou == pytest.approx((0.9 + 0.8) / 3)


def test_rankings_have_correlations(sqlite_client: Client) -> None:
    config = '<View><List name="answers" value="$answers"/><Ranker name="order" toName="answers"/></View>'
    rows = {"a": {"answers": [{"id": name, "title": name} for name in "abcd"]}}
    said, there = ("a", "b", "c", "d"), ("b", "a", "c", "d")
    made = run_of(sqlite_client, config, rows, {"a": [Ranking(said)]}, {"a": [Ranking(there)]}, media="").report()
    assert made.rankings is not None
    (found,) = made.rankings.values()
    places = [there.index(item) for item in said]
    assert found.kendall == pytest.approx(stats.kendalltau(range(4), places).statistic)
    assert found.spearman == pytest.approx(stats.spearmanr(range(4), places).statistic)


def test_tracks_overlap_by_their_boxes_in_all_frames(sqlite_client: Client) -> None:
    def track(uuid: str, first: int, last: int, left: float) -> list[dict[str, Any]]:
        bbox = {"left": left, "top": 0, "width": 10, "height": 10}
        frames = [{"frame": frame, "bbox": bbox} for frame in (first, last)]
        return [{"dataRow": {"globalKey": "v"}, "uuid": uuid, "name": "cat", "segments": [{"keyframes": frames}]}]

    rows = {"v": "https://example.com/v.mp4"}
    made = run_of(sqlite_client, BOXES, rows, track("p", 1, 10, 0), track("a", 3, 12, 5), media="VIDEO").report()
    assert made.times is not None
    found = made.times["track"].all
    # 8 of 12 frames are shared, and half a box in each
    assert found.iou == pytest.approx(8 * 50 / (2 * 10 * 100 - 8 * 50))
    assert (found.start_error, found.end_error, found.matched) == (2, 2, 0)


# -- what is not there


def test_a_run_in_which_nothing_is_labeled_has_a_report_of_nones(sqlite_client: Client) -> None:
    client = sqlite_client
    client.import_data_rows("rows", [{"row_data": "a", "global_key": "a"}])
    run = client.create_model("model", client.create_ontology(FLOWERS)).create_model_run("v1")
    run.upsert_data_rows(global_keys=["a"])
    for job in ({}, {"a": [Choice("setosa", score=0.5)]}):
        if job:
            run.add_predictions("predictions", job).wait_till_done()
        made = run.report()
        assert (made.metrics.data_rows, made.metrics.run.f1) == (0, None)
        assert {name: value for name, value in made.as_json().items() if value} == {"metrics": made.metrics.as_json()}
        assert made.intervals is None
        assert made.questions is None
        assert made.calibration is None


def test_imported_metric_rows_are_put_together(sqlite_client: Client) -> None:
    client = sqlite_client
    client.import_data_rows("rows", [{"row_data": key, "global_key": key, "media_type": "IMAGE"} for key in "abc"])
    run = client.create_model("boxes", client.create_ontology(BOXES)).create_model_run("v1")
    run.upsert_data_rows(global_keys="abc")
    run.assign_data_rows_to_split(split="test", global_keys="ab")
    values = {"a": 0.2, "b": {"0.25": 0.6, "0.75": 0.1}, "c": 1.0}
    rows: list[dict[str, Any]] = [
        {"dataRow": {"globalKey": key}, "metricName": "quality", "metricValue": value} for key, value in values.items()
    ]
    counts = {"metricName": "seen", "metricValue": [3, 1, 0, 1], "aggregation": "CONFUSION_MATRIX"}
    rows.append({"dataRow": {"globalKey": "a"}, **counts, "featureName": "cat"})
    assert not run.add_predictions("metrics", rows).errors
    custom = run.report().custom
    assert custom is not None
    assert (custom["quality"].rows, custom["quality"].value) == (3, pytest.approx(0.6))
    assert (custom["seen"].precision, custom["seen"].features["cat"].tp) == (0.75, 3)
    tested = run.report(split="test", confidence=0.9)
    assert tested.custom is not None
    assert tested.custom["quality"].value == pytest.approx(0.15)
    assert json.loads(json.dumps(tested.as_json()))["custom"]["seen"]["features"]["cat"]["recall"] == 0.75


def test_a_part_whose_library_is_missing_does_not_cost_the_others(
    letters: ModelRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    monkeypatch.setitem(sys.modules, "nervaluate", None)  # it has a substitute
    made = letters.report()
    assert made.texts is None
    assert list(made.refused) == ["texts"]
    assert "jiwer" in made.refused["texts"]
    assert "pip install" in made.refused["texts"]
    assert made.spans is not None
    assert made.questions is not None
    assert made.ratings is not None


def test_a_split_is_reported_alone(letters: ModelRun) -> None:
    letters.assign_data_rows_to_split(split="test", global_keys=["s0", "s3"])
    made = letters.report(split="test")
    assert made.metrics.data_rows == 2
    assert made.texts is not None
    assert made.texts["gist"].pairs == 2
    assert made.spans is not None
    assert (made.spans.all["strict"].missed, made.spans.all["strict"].spurious) == (0, 1)
    assert letters.report(split="training").texts is None


def test_what_is_annotated_and_never_predicted_is_missed(sqlite_client: Client) -> None:
    rows, there = {"a": "https://example.com/a.wav", "b": "https://example.com/b.wav"}, [Segment(0, 10, "anna")]
    made = run_of(sqlite_client, TALK, rows, {"a": [], "b": []}, {"a": there, "b": there}, media="AUDIO").report()
    assert made.times is not None
    anna = made.times["segment"].classes["anna"]
    assert (anna.annotated, anna.predicted, anna.iou, anna.paired_iou) == (2, 0, 0.0, None)
    assert made.intervals is not None
    assert (made.intervals["precision"].value, made.intervals["recall"].value) == (None, 0.0)
    assert (made.calibration, made.refused) == (None, {})
    missed = average_precision({"a": ([], [Instance("box", "cat", (0, 0, 9, 9))])})
    assert (missed.all.ap, missed.classes["cat"].ap50) == (0.0, 0.0)


def test_without_confidences_there_is_no_calibration(letters: ModelRun) -> None:
    assert letters.report().calibration is None


# -- the command

Command = Callable[..., Any]


@pytest.fixture
def command(sqlite_client: Client) -> Command:
    where = ["--data-dir", str(sqlite_client.settings.data_dir)]
    return lambda *arguments: CliRunner().invoke(report_command, ["v1", *where, *arguments])


@needs_nervaluate
def test_the_command_shows_a_table_for_each_kind(letters: ModelRun, command: Command) -> None:
    said = command()
    assert said.exit_code == 0, said.output
    assert "v1: 4 data rows" in said.stdout
    for part in ("Classes", "Spans: F1", "Choices", "Written answers", "Values"):
        assert part in said.stdout
    assert "Average precision" not in said.stdout
    lines = [line.split() for line in said.stdout.splitlines()]
    assert ["gist", "4", "0.250", *(f"{one:.3f}" for one in rates(letters.report()))] in lines


def rates(made: Report) -> tuple[float, float]:
    assert made.texts is not None
    wer, cer = made.texts["gist"].wer, made.texts["gist"].cer
    assert wer is not None
    assert cer is not None
    return wer, cer


def test_the_command_s_json_is_the_report(boxes: ModelRun, command: Command) -> None:
    said = command("--json", "--confidence", "0.3")
    assert json.loads(said.stdout) == json.loads(json.dumps(boxes.report(confidence=0.3).as_json()))


def test_the_command_draws_a_picture(boxes: ModelRun, command: Command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    said = command("--plot", str(tmp_path / "report.png"))
    assert said.exit_code == 0, said.output
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    refused = command("--plot", str(tmp_path / "report.txt"))
    assert refused.exit_code == 2
    assert ".png" in refused.output


def test_a_picture_without_matplotlib_says_what_to_install(
    boxes: ModelRun, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = command("--plot", str(tmp_path / "report.png"))
    assert said.exit_code != 0
    assert "pip install matplotlib" in f"{said.output} {said.exception}"


def test_the_command_says_that_nothing_is_labeled(sqlite_client: Client, command: Command) -> None:
    sqlite_client.create_model("model", sqlite_client.create_ontology(FLOWERS)).create_model_run("v1")
    assert command().stdout == "v1: no data row is both predicted and labeled.\n"
