"""Shadow runs, promotion and rollback in the registry: what is hidden waits, what is shown is sent."""

from __future__ import annotations

import pytest

from prelabel.client import Client
from prelabel.errors import NotFoundError, RequestError
from prelabel.outputs import Choice
from prelabel.predictions import Prediction
from prelabel.runs import Connection, Ledger, config_hash
from prelabel.tasks import Task

URL = "http://studio:8080"
MOODS = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)
OLD, NEW, NEWER = "cats-00000001", "cats-00000002", "cats-00000003"


@pytest.fixture
def place(ledger: Ledger) -> Connection:
    return ledger.remember_project(Connection(URL, 7, "<View/>", "secret", model="cats"))


def predict(ledger: Ledger, place: Connection, version: str, *tasks: int) -> None:
    """What a worker does with new tasks."""
    ledger.enter(version, "cats", shadow=False)
    ledger.plan(version, place, [Task(task, {"text": str(task)}, 7) for task in tasks])
    rows = ledger.planned(version=version)
    said = [(row, Prediction(({"id": "r1"},), 0.5, version)) for row in rows]
    assert ledger.record(said) == len(tasks)


def send(ledger: Ledger) -> list[str]:
    """What a push lane does: the versions that it sends, each once."""
    sent = []
    for waiting in ledger.waiting(URL):
        chunk = ledger.begin_chunk(waiting, 5000, 10**8)
        assert chunk is not None
        ledger.settle(chunk, stored=[row.id for row in chunk.rows])
        sent.append(waiting.version)
    return sorted(sent)


def states(ledger: Ledger, place: Connection, version: str) -> list[str]:
    return sorted(ledger.states(version, place).values())


def test_without_a_promotion_the_served_version_is_shown(ledger: Ledger) -> None:
    standing = ledger.enter(NEW, "cats", shadow=False)
    assert (standing.stage, standing.promoted, standing.hidden, standing.shown) == ("candidate", None, False, NEW)
    assert not ledger.standing_of("never-seen").hidden


def test_what_a_shadow_predicts_waits_until_it_is_promoted(ledger: Ledger, place: Connection) -> None:
    assert ledger.enter(NEW, "cats", shadow=True).hidden
    predict(ledger, place, NEW, 1, 2)
    assert (states(ledger, place, NEW), send(ledger)) == (["shadow", "shadow"], [])
    ledger.promote(NEW)
    assert (states(ledger, place, NEW), send(ledger)) == (["pending", "pending"], [NEW])


def test_once_a_run_is_promoted_others_predict_in_shadow(ledger: Ledger, place: Connection) -> None:
    predict(ledger, place, OLD, 1)
    ledger.promote(OLD)
    standing = ledger.enter(NEW, "cats", shadow=False)
    assert (standing.stage, standing.hidden, standing.shown) == ("candidate", True, OLD)
    assert f"prelabel runs promote {NEW}" in standing.sentence
    predict(ledger, place, NEW, 1)
    assert send(ledger) == [OLD]
    assert states(ledger, place, NEW) == ["shadow"]


def test_what_was_not_yet_sent_of_the_version_before_is_not_sent_any_more(ledger: Ledger, place: Connection) -> None:
    predict(ledger, place, OLD, 1)
    predict(ledger, place, NEW, 1)
    ledger.promote(NEW)
    assert (states(ledger, place, OLD), send(ledger)) == (["shadow"], [NEW])
    ledger.promote(OLD)
    assert send(ledger) == [OLD]


def test_other_models_are_untouched(ledger: Ledger, place: Connection) -> None:
    ledger.enter("dogs-1", "dogs", shadow=False)
    predict(ledger, place, OLD, 1)
    ledger.promote(OLD)
    assert not ledger.standing_of("dogs-1").hidden


def test_rolling_back_goes_through_the_promotions(client: Client) -> None:
    model = client.create_model("cats")
    first, second, third = (model.create_model_run(name) for name in ("v1", "v2", "v3"))
    for run in (first, second, third):
        assert run.promote().promoted
    assert model.roll_back()[0].name == "v2"
    assert [run.stage for run in (first, second, third)] == ["candidate", "promoted", "candidate"]
    assert model.roll_back()[0].name == "v1"
    with pytest.raises(RequestError, match="no other run of 'cats' was promoted before"):
        model.roll_back()
    assert first.stage == "promoted"


def test_the_first_promotion_can_be_rolled_back_to_what_people_saw(ledger: Ledger, place: Connection) -> None:
    for version in (OLD, NEW):
        predict(ledger, place, version, 1)
        assert send(ledger) == [version]
    ledger.enter(NEWER, "cats", shadow=True)
    ledger.promote(NEWER)
    assert ledger.roll_back("cats") == NEW
    with pytest.raises(RequestError, match="no other run"):
        ledger.roll_back("cats")


def test_a_run_that_was_rolled_back_can_be_promoted_again(client: Client) -> None:
    model = client.create_model("cats")
    first, second = model.create_model_run("v1"), model.create_model_run("v2")
    for run in (first, second):
        run.promote()
    model.roll_back()
    second.promote()
    assert (first.stage, second.stage) == ("candidate", "promoted")
    assert model.roll_back()[0].name == "v1"


def test_a_promoted_run_does_not_go_into_shadow(client: Client) -> None:
    run = client.create_model("cats").create_model_run("v1")
    assert run.put_in_shadow()
    assert run.stage == "shadow"
    run.promote()
    assert not run.put_in_shadow()
    assert run.stage == "promoted"


def test_demoting_shows_the_served_version_again(ledger: Ledger, place: Connection) -> None:
    ledger.enter(OLD, "cats", shadow=False)
    ledger.promote(OLD)
    predict(ledger, place, NEW, 1)
    ledger.demote(OLD)
    assert not ledger.standing_of(NEW).hidden
    assert send(ledger) == [NEW]


def test_what_does_not_exist_is_said_to(ledger: Ledger) -> None:
    for act in (ledger.promote, ledger.demote):
        with pytest.raises(NotFoundError, match="no model run 'none'"):
            act("none")
    with pytest.raises(NotFoundError, match="no model 'none'"):
        ledger.roll_back("none")


def test_a_condition_that_does_not_hold_promotes_nothing(client: Client) -> None:
    run = client.create_model("cats").create_model_run("v1")
    done = run.promote("f1 >= 0.5")
    assert (done.promoted, run.stage) == (False, "candidate")
    assert done.reasons == ("f1 (undefined) >= 0.5: does not hold",)
    with pytest.raises(NotFoundError, match="v0"):
        run.promote("f1 >= v0.f1")


def test_runs_are_judged_on_the_data_rows_that_they_share(client: Client) -> None:
    client.import_data_rows("d", [{"row_data": key, "global_key": key, "media_type": "TEXT"} for key in "ab"])
    model = client.create_model("moods", client.create_ontology(MOODS))
    truth = [{"name": "mood", "answer": {"name": "good"}, "dataRow": {"globalKey": key}} for key in "ab"]
    said = {"v1": {"a": "good", "b": "bad"}, "v2": {"a": "good"}, "v3": {"b": "good"}}
    for name, answers in said.items():
        run = model.create_model_run(name)
        run.upsert_data_rows(global_keys=list("ab"))
        run.upsert_labels(truth)
        job = run.add_predictions("first", {key: [Choice(label, score=0.9)] for key, label in answers.items()})
        job.wait_till_done()
        assert len(job.errors) == 0
    assert client.get_model_run("v2").judge("f1 == 1").holds
    easier = client.get_model_run("v2").judge("f1 > v1.f1")  # v1 is wrong only where v2 says nothing
    assert (easier.holds, easier.reasons) == (False, ("f1 (1) > v1.f1 (1): does not hold",))
    assert client.get_model_run("v3").judge("f1 > v1.f1").reasons == ("f1 (1) > v1.f1 (0): holds",)
    assert not client.get_model_run("v3").judge("f1 > v2.f1").holds  # they share nothing


def test_a_job_that_is_resumed_does_not_reveal_a_shadow(ledger: Ledger, place: Connection) -> None:
    ledger.enter(NEW, "cats", shadow=False)
    job = ledger.create_job("tasks", place, NEW, listed=True)
    ledger.plan(NEW, place, [Task(1, {"text": "1"}, 7)], job=job)
    (row,) = ledger.planned(version=NEW)
    ledger.record([(row, Prediction(({"id": "r1"},), 0.5, NEW))])
    ledger.cancel_job(job)
    ledger.put_in_shadow(NEW)
    assert ledger.resume_job(job) == 1
    assert (states(ledger, place, NEW), ledger.job(job).shadow, ledger.job(job).finished) == (["shadow"], 1, 1)


# -- what the ledger has is used again


def test_a_version_is_answered_from_the_ledger(ledger: Ledger, place: Connection) -> None:
    predict(ledger, place, OLD, 1)
    ledger.promote(OLD)
    config = config_hash(place.label_config)

    def ask(task: int, text: str) -> str | None:
        (found,) = ledger.claim_known(OLD, place, [(Task(task, {"text": text}, 7), config)])
        return found

    assert ask(1, "other data") is None
    assert '"model_version":"cats-00000001"' in str(ask(1, "1"))
    assert ask(1, "1") == ""  # a moment ago
    assert ask(2, "2") is None
    assert (states(ledger, place, OLD), send(ledger)) == (["answered"], [])


def test_a_deleted_prediction_is_stored_again_without_the_model(ledger: Ledger, place: Connection) -> None:
    predict(ledger, place, OLD, 1, 2)
    assert send(ledger) == [OLD]
    seen = ledger.now() + 1
    lacking = [Task(1, {"text": "1"}, 7), Task(2, {"text": "was changed"}, 7)]
    assert ledger.plan(OLD, place, lacking, replan=[1, 2], as_of=seen, reuse=True) == 2
    assert ledger.states(OLD, place) == {1: "pending", 2: "planned"}
    (waiting,) = ledger.waiting(URL)
    chunk = ledger.begin_chunk(waiting, 10, 10**8)
    assert chunk is not None
    assert [(row.task, row.verify) for row in chunk.rows] == [(1, True)]
