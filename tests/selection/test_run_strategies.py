"""Strategies on model runs: what is known of a run's predictions decides which tasks are labeled next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from prelabel import Box, Choice, Choices
from prelabel.cli import cli
from prelabel.cli.run_selecting import STRATEGIES as OFFERED
from prelabel.client import Client
from prelabel.client_run import ModelRun
from prelabel.errors import PrelabelError, RequestError
from prelabel.labeling import parse
from prelabel.predictions import make_prediction
from prelabel.runs import Connection, Ledger, config_hash
from prelabel.runs.opinions import opinions
from prelabel.selection import STRATEGIES, SelectionError
from prelabel.tasks import Task

NAMES = ("cat", "dog", "bird")
ANIMALS = (
    '<View><Text name="text" value="$text"/><Choices name="animal" toName="text" choice="single">'
    + "".join(f'<Choice value="{name}"/>' for name in NAMES)
    + "</Choices></View>"
)
TWO = ANIMALS.replace('<Choice value="bird"/>', "")
SEVERAL = ANIMALS.replace("single", "multiple")
BOXES = (
    '<View><Image name="picture" value="$image"/><RectangleLabels name="o" toName="picture">'
    '<Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)
SHARES = {"a": (0.9, 0.06, 0.04), "b": (0.5, 0.49, 0.01), "c": (0.4, 0.3, 0.3), "d": (0.7, 0.2, 0.1)}
"""By text: b has the smallest margin, c the greatest entropy and the least confidence."""


def answer(shares: Sequence[float]) -> Choice:
    best = int(np.argmax(shares))
    return Choice(NAMES[best], score=shares[best], distribution=dict(zip(NAMES, shares, strict=True)))


def make_run(
    client: Client, said: Mapping[str, Any], *, name: str = "v1", config: str = ANIMALS, media_type: str = "text"
) -> ModelRun:
    rows = [{"row_data": key, "global_key": key, "media_type": media_type} for key in said]
    client.import_data_rows("rows", rows)
    try:
        model = client.get_model("animals")
    except PrelabelError:
        model = client.create_model("animals", client.create_ontology(config))
    run = model.create_model_run(name)
    run.upsert_data_rows(global_keys=list(said))
    job = run.add_predictions("import", dict(said))
    job.wait_till_done()
    assert not job.errors
    return run


def label(run: ModelRun, labels: Mapping[str, str]) -> None:
    rows = [
        {"dataRow": {"globalKey": key}, "uuid": f"l-{key}", "name": "animal", "answer": {"name": said}}
        for key, said in labels.items()
    ]
    assert not run.upsert_labels(rows).errors


def order(run: ModelRun, client: Client, strategy: str, **more: Any) -> list[str]:
    ranking = run.rank_unlabeled(strategy, **more)
    rows = client.registry.data_rows_at(ranking.ids[ranking.order].tolist())
    return [str(row.global_key) for row in rows]


def animals(client: Client) -> ModelRun:
    return make_run(client, {key: answer(shares) for key, shares in SHARES.items()})


# -- probabilities


def test_the_command_offers_every_strategy() -> None:
    assert set(OFFERED) == set(STRATEGIES)


def test_each_strategy_for_probabilities_has_its_own_order(client: Client) -> None:
    run = animals(client)
    assert order(run, client, "least_confident")[:2] == ["c", "b"]
    assert order(run, client, "margin") == ["b", "c", "d", "a"]
    assert order(run, client, "entropy") == ["c", "d", "b", "a"]
    margins = run.rank_unlabeled("margin")
    assert margins.priority == pytest.approx([0.16, 0.99, 0.9, 0.5])


def test_probabilities_of_what_was_pushed_and_answered_come_with_it_from_the_ledger(sqlite_client: Client) -> None:
    ledger = Ledger(sqlite_client.registry.database)
    config = parse(ANIMALS)
    known = ledger.remember_project(Connection("http://ls", 1, ANIMALS, "secret", model="animals"))
    said = {
        number: make_prediction(answer(shares), config, {}, model_version="animals-1")
        for number, shares in enumerate(SHARES.values(), start=1)
    }
    ledger.plan("animals-1", known, [Task(number, {"text": "pushed"}) for number in (1, 2)])
    ledger.record((row, said[row.task.id or 0]) for row in ledger.planned(version="animals-1", limit=10))
    live = [(Task(number, {"text": "answered"}), config_hash(ANIMALS), said[number]) for number in (3, 4)]
    assert ledger.claim_live("animals-1", known, live) == [True, True]
    run = sqlite_client.get_model_run("animals-1")
    assert run.rank_unlabeled("margin").priority == pytest.approx([0.16, 0.99, 0.9, 0.5])


def test_with_two_choices_a_confidence_is_a_distribution(sqlite_client: Client) -> None:
    said = {"a": Choice("cat", score=0.9), "b": Choice("dog", score=0.6), "c": Choice("cat", score=0.3)}
    run = make_run(sqlite_client, said, config=TWO)
    assert run.rank_unlabeled("margin").priority == pytest.approx([0.2, 0.8, 0.6])
    rows = [
        {"dataRow": {"globalKey": "a"}, "uuid": "x", "name": "animal", "answer": {"name": "dog", "confidence": 0.75}}
    ]
    other = sqlite_client.get_model("animals").create_model_run("labelbox")
    other.upsert_data_rows(global_keys=["a"])
    assert not other.add_predictions("rows", rows).wait_till_done().failed
    answers = opinions(sqlite_client.registry, other.id).answers()
    assert answers is not None
    assert dict(zip(answers.classes, answers.probabilities[0], strict=True)) == {"dog": 0.75, "cat": 0.25}


def test_with_more_choices_it_is_none(sqlite_client: Client) -> None:
    run = make_run(sqlite_client, {"a": Choice("cat", score=0.9)})
    with pytest.raises(SelectionError, match="margin needs the probability of every class"):
        run.rank_unlabeled("margin")


def test_of_several_choices_at_once_the_one_decides_that_the_run_is_least_sure_about(sqlite_client: Client) -> None:
    said = {
        "a": Choices(("cat",), score=0.9, distribution={"cat": 0.9, "dog": 0.45, "bird": 0.01}),
        "b": Choices(("cat", "dog"), score=0.8, distribution={"cat": 0.8, "dog": 0.9, "bird": 0.2}),
    }
    run = make_run(sqlite_client, said, config=SEVERAL)
    assert run.rank_unlabeled("margin").priority == pytest.approx([0.9, 0.4])


def test_what_was_left_out_of_a_long_distribution_is_one_more_class(sqlite_client: Client) -> None:
    names = [f"n{number}" for number in range(300)]
    config = ANIMALS.replace('<Choice value="cat"/>', "".join(f'<Choice value="{name}"/>' for name in names))
    shares = dict.fromkeys(names, 1 / 300)
    run = make_run(sqlite_client, {"a": Choice("n0", score=1 / 300, distribution=shares)}, config=config)
    answers = opinions(sqlite_client.registry, run.id).answers()
    assert answers is not None
    assert (len(answers.classes), answers.classes[-1]) == (101, "(other)")
    assert answers.probabilities.sum() == pytest.approx(1)
    assert answers.probabilities[0, -1] == pytest.approx(2 / 3, abs=1e-3)


def test_classes_go_by_the_labeling_configs_names() -> None:
    config = parse(TWO)
    said = Choice("CAT", score=0.7, distribution={"CAT": 0.7, "chien": 0.2, "wolf": 0.1})
    entry = make_prediction(said, config, {}, model_version="v", label_map={"chien": "dog"}).as_json()
    (region,) = entry["result"]
    assert entry["distributions"][region["id"]]["classes"] == {"cat": 0.7, "dog": 0.2, "wolf": 0.1}


def test_the_question_must_be_said_where_there_are_several(sqlite_client: Client) -> None:
    more = '<Choices name="mood" toName="text"><Choice value="good"/><Choice value="bad"/></Choices></View>'
    config = ANIMALS.replace("</View>", more)
    said = {
        "a": [answer(SHARES["a"]), Choice("good", score=0.55, distribution={"good": 0.55, "bad": 0.45})],
        "b": [answer(SHARES["b"]), Choice("bad", score=0.99, distribution={"good": 0.01, "bad": 0.99})],
    }
    run = make_run(sqlite_client, said, config=config)
    with pytest.raises(RequestError, match="several questions: animal, mood"):
        run.rank_unlabeled("margin")
    assert order(run, sqlite_client, "margin", question="animal") == ["b", "a"]
    assert order(run, sqlite_client, "margin", question="mood") == ["a", "b"]
    with pytest.raises(RequestError, match="no question 'colour'"):
        run.rank_unlabeled("margin", question="colour")


# -- several runs


def test_runs_disagree_where_they_answer_differently(sqlite_client: Client) -> None:
    run = animals(sqlite_client)
    make_run(sqlite_client, {"a": Choice("cat"), "b": Choice("dog"), "c": Choice("cat")}, name="v2")
    third = make_run(sqlite_client, {"a": Choice("cat"), "b": Choice("bird"), "c": Choice("dog")}, name="v3")
    ranking = run.rank_unlabeled("disagreement", others=["v2", third])
    assert ranking.priority[:2] == pytest.approx([0.0, 1.0])
    assert 0 < ranking.priority[2] < 1
    assert ranking.without.tolist() == [3], "only one run predicted d"
    with pytest.raises(SelectionError, match="one is given"):
        run.rank_unlabeled("disagreement")


def test_runs_agree_on_pictures_where_they_see_as_many_things_of_each_class(sqlite_client: Client) -> None:
    def boxes(*names: str) -> list[Box]:
        return [Box(i, 10 * i, 5, 5, name, score=0.5) for i, name in enumerate(names)]

    pictures = {"http://x/1.png": boxes("cat", "dog"), "http://x/2.png": boxes("cat"), "http://x/3.png": boxes("cat")}
    facts = {"width": 100, "height": 100}
    rows = [{"row_data": key, "global_key": key, "media_type": "image", "facts": facts} for key in pictures]
    sqlite_client.import_data_rows("pictures", rows)
    model = sqlite_client.create_model("boxes", sqlite_client.create_ontology(BOXES))
    second = {**pictures, "http://x/1.png": boxes("dog", "cat"), "http://x/2.png": boxes("cat", "cat")}
    for name, said in (("v1", pictures), ("v2", second)):
        run = model.create_model_run(name)
        run.upsert_data_rows(global_keys=list(said))
        assert not run.add_predictions("import", said).wait_till_done().failed
    assert sqlite_client.get_model_run("v1").rank_unlabeled("disagreement", others=["v2"]).priority.tolist() == [
        0,
        1,
        0,
    ]


def test_divergence_compares_the_same_classes_of_runs_that_name_them_in_another_order(sqlite_client: Client) -> None:
    run = animals(sqlite_client)
    turned = {
        key: Choice("bird", score=0.1, distribution=dict(reversed(list(zip(NAMES, shares, strict=True)))))
        for key, shares in SHARES.items()
    }
    turned["d"] = Choice("bird", score=1.0, distribution={"bird": 1.0})
    make_run(sqlite_client, turned, name="v2")
    assert run.rank_unlabeled("divergence", others=["v2"]).priority[:3] == pytest.approx([0, 0, 0], abs=1e-6)
    assert order(run, sqlite_client, "divergence", others=["v2"])[0] == "d"


# -- labels that may be wrong


def many(client: Client) -> tuple[ModelRun, list[str]]:
    """60 texts of which the run is sure; every tenth is labeled otherwise."""
    rng = np.random.default_rng(0)
    said: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for number in range(60):
        true = number % 3
        shares = np.full(3, 0.05)
        shares[true] = 0.9 - 0.1 * rng.random()
        said[f"t{number:02}"] = answer((shares / shares.sum()).tolist())
        labels[f"t{number:02}"] = NAMES[(true + (number % 10 == 0)) % 3]
    run = make_run(client, said)
    label(run, labels)
    return run, [key for number, key in enumerate(said) if number % 10 == 0]


def test_labels_that_the_run_does_not_believe_come_first(client: Client) -> None:
    run, wrong = many(client)
    assert set(order(run, client, "mislabeling")[:6]) == set(wrong)
    assert run.rank_unlabeled("margin").ids.size == 0, "nothing is left to be labeled"


def test_what_the_run_was_trained_on_is_no_evidence(sqlite_client: Client) -> None:
    run, wrong = many(sqlite_client)
    run.assign_data_rows_to_split(global_keys=wrong[:2], split="training")
    ranking = run.rank_unlabeled("mislabeling")
    left_out = {
        str(row.global_key) for row in sqlite_client.registry.data_rows_at(ranking.ids[ranking.without].tolist())
    }
    assert left_out == set(wrong[:2])


def test_wrong_labels_are_not_mixed_with_unlabeled_tasks(sqlite_client: Client) -> None:
    run, _ = many(sqlite_client)
    with pytest.raises(SelectionError, match="cannot be mixed"):
        run.rank_unlabeled("mix", shares={"mislabeling": 0.5, "random": 0.5})
    with pytest.raises(SelectionError, match="margin has no shares"):
        run.rank_unlabeled("margin", shares={"random": 1})
    with pytest.raises(SelectionError, match="No strategy is called 'luck'"):
        run.rank_unlabeled("luck")


# -- in a project, and whether it helped


def test_a_mix_is_remembered_and_its_arms_are_compared(client: Client, studio: Any) -> None:
    said = {f"t{number:03}": answer((0.5, 0.49, 0.01) if number < 40 else (0.9, 0.05, 0.05)) for number in range(120)}
    run = make_run(client, said)
    project = studio.add_project(ANIMALS)
    run.send_to_project(project)
    selected = run.select(project, "mix", count=60, seed=3, shares={"margin": 0.5, "random": 0.5})
    assert [one.arm for one in selected.first[:4]].count("random") == 2
    scores = {one["task"]: one["score"] for one in studio.predictions.values()}
    assert [one.task for one in selected.first] == sorted(scores, key=lambda task: scores[task])[:60]
    (round_,) = run.selections()
    assert (round_.id, round_.strategy, round_.size, round_.project) == (selected.selection, "mix", 60, project)

    assert run.arms().helps is None
    # of what the run is unsure about, it is wrong
    label(run, {one.data_row: "dog" if one.data_row < "t040" else "cat" for one in selected.first})
    report = run.arms(selected.selection)
    arms = {one.name: one for one in report.arms}
    assert (arms["margin"].labeled, arms["random"].labeled) == (30, 30)
    assert arms["margin"].wrong == sum(one.data_row < "t040" for one in selected.first if one.arm == "margin")
    assert arms["random"].wrong == sum(one.data_row < "t040" for one in selected.first if one.arm == "random")
    assert report.helps is True
    assert run.arms(99).strategy.labeled == 0

    run.delete()
    assert client.registry.picks(round_.run_id) == []


def test_a_single_strategy_is_remembered_under_its_name(sqlite_client: Client, studio: Any) -> None:
    run = animals(sqlite_client)
    project = studio.add_project(ANIMALS)
    run.send_to_project(project)
    selected = run.select(project, "margin", count=2)
    assert not selected.shown, "the project shows another version"
    assert run.select(project, "margin", count=2, show=True).shown
    assert studio.projects[project]["model_version"] == "v1"
    assert run.select(project, "margin", count=2).shown
    assert [(one.data_row, one.arm) for one in selected.first] == [("b", ""), ("c", "")]
    assert [pick.arm for pick in sqlite_client.registry.picks(run.id)] == ["margin", "margin"]
    assert studio.by_text("score") == pytest.approx({"a": 0.84, "b": 0.01, "c": 0.1, "d": 0.5})


def test_the_terminal_shows_what_was_chosen_and_whether_it_helped(
    sqlite_client: Client, studio: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRELABEL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.token)
    run = animals(sqlite_client)
    make_run(sqlite_client, {key: Choice("cat") for key in SHARES}, name="v2")
    project = studio.add_project(ANIMALS)
    run.send_to_project(project)

    def said(*arguments: str, code: int = 0) -> list[str]:
        done = CliRunner().invoke(cli, ["runs", *arguments], prog_name="prelabel")
        assert done.exit_code == code, done.output
        return done.stdout.splitlines()

    where = ("--project", str(project))
    assert said("arms", "v1")[0].startswith("Nothing was chosen yet")
    first = said("select", "v1", *where, "--strategy", "margin", "--count", "1")
    assert first[1].split()[1:3] == ["b", "0.990"]
    shares = ("--share", "margin=1", "--share", "random=1")
    mixed = said("select", "v1", *where, "--strategy", "mix", "--count", "4", *shares)
    assert sorted(line.split()[3] for line in mixed[1:5]) == ["margin", "margin", "random", "random"]
    said("select", "v1", *where, "--share", "margin", code=2)
    assert said("select", "v1", *where, "--strategy", "disagreement", "--with", "v2")[-1].endswith("were right")
    label(run, {"b": "dog"})
    table = said("arms", "v1")
    assert table[0].split() == ["SELECTION", "PROJECT", "STRATEGY", "PICKS"]
    assert any(line.split()[:3] == ["disagreement", "1", "1"] for line in table)
