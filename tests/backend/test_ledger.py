"""The ledger on SQLite and on PostgreSQL: planning, live claims, chunks, jobs, leases."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from prelabel.errors import DataError, NotFoundError, SettingsError
from prelabel.predictions import Prediction
from prelabel.runs import Connection, Ledger, LedgerRow, config_hash
from prelabel.runs.ledger import ANSWER_GRACE_S
from prelabel.runs.tables import SCHEMA_HEAD, metadata, predictions
from prelabel.settings import load_settings
from prelabel.tasks import Task

VERSION = "model-12345678"
URL = "http://studio:8080"


def tasks(first: int, last: int, words: str = "text") -> list[Task]:
    return [Task(number, {"text": f"{words} {number}"}, 7) for number in range(first, last + 1)]


def answer(version: str = VERSION) -> Prediction:
    return Prediction(({"id": "r1"},), 0.5, version)


@pytest.fixture
def ledger(database_url: str, tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger.open(load_settings(data_dir=tmp_path / "data", database_url=database_url, single_flight_s=5.0))
    yield made
    made.close()


@pytest.fixture
def connection(ledger: Ledger) -> Connection:
    return ledger.remember_project(Connection(URL, 7, "<View/>", "secret", model="model"))


def later(ledger: Ledger, seconds: float) -> None:
    """Let the registry's clock run ahead."""
    ledger._clock_offset = ledger.now() - time.time() + seconds


def predict(ledger: Ledger, rows: list[LedgerRow]) -> None:
    assert ledger.record((row, answer()) for row in rows) == len(rows)


def send(ledger: Ledger, *, store: bool = True, limit: int = 5000) -> int:
    """What a push lane does, without Label Studio; how many it took."""
    (waiting,) = ledger.waiting(URL)
    chunk = ledger.begin_chunk(waiting, limit, 10**8)
    assert chunk is not None
    if store:
        assert ledger.settle(chunk, stored=[row.id for row in chunk.rows]) == 0
    return len(chunk.rows)


# -- the database


def test_migrations_make_exactly_the_tables_of_the_code(ledger: Ledger) -> None:
    with ledger.database.read() as db:
        differences = compare_metadata(MigrationContext.configure(db), metadata)
    assert differences == []


def test_the_schema_that_the_code_needs_is_the_newest_migration() -> None:
    import prelabel.runs

    scripts = ScriptDirectory(str(Path(prelabel.runs.__file__).parent / "migrations"))
    assert scripts.get_heads() == [SCHEMA_HEAD]


def test_several_processes_may_open_a_new_registry_at_once(database_url: str, tmp_path: Path) -> None:
    command = [sys.executable, __file__, database_url, str(tmp_path / "data")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = [process.communicate(timeout=60)[0] for process in processes]
    assert sum(map(int, counts)) == 100  # each task is new to one of them


def open_and_plan(url: str, folder: str) -> int:
    ledger = Ledger.open(load_settings(data_dir=Path(folder), database_url=url))
    try:
        known = ledger.remember_project(Connection(URL, 7, "<View/>", "secret", model="model"))
        return ledger.plan(VERSION, known, tasks(1, 100))
    finally:
        ledger.close()


def test_a_registry_made_here_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    ledger = Ledger.open(load_settings(data_dir=folder))
    ledger.remember_project(Connection(URL, 7, "<View/>", "secret", model="model"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.glob("prelabel.sqlite3*"))
    assert len(files) == 3  # with its write-ahead log
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    ledger.close()


def test_a_database_that_cannot_be_used_is_a_settings_error(tmp_path: Path) -> None:
    for url in ("nonsense", "sqlite://", "oracle://x/y", "postgresql://nobody@127.0.0.1:1/none"):
        with pytest.raises(SettingsError):
            Ledger.open(load_settings(data_dir=tmp_path, database_url=url))


def test_tokens_stand_in_no_error_and_no_repr(ledger: Ledger, connection: Connection) -> None:
    assert "secret" not in repr(connection)
    assert ledger.database.engine.hide_parameters


# -- connections


def test_what_is_known_of_a_project_is_not_overwritten_by_nothing(ledger: Ledger, connection: Connection) -> None:
    again = ledger.remember_project(Connection(f"{URL}/", 7, extra_params={"a": 1}, model="model"))
    assert again.id == connection.id
    assert (again.label_config, again.token, again.extra_params) == ("<View/>", "secret", {"a": 1})
    changed = ledger.remember_project(Connection(URL, 7, "<View></View>", model="model"))
    assert (changed.label_config, changed.extra_params) == ("<View></View>", {"a": 1})
    assert ledger.connections() == [changed]
    assert ledger.connection_by_id(changed.id) == changed


def test_the_same_project_number_of_two_label_studios_is_two_projects(ledger: Ledger, connection: Connection) -> None:
    later(ledger, 1)
    other = ledger.remember_project(Connection("http://other", 7, "<View/>", "t", model="model"))
    assert ledger.connection(7) == other
    assert ledger.connection(7, URL) == connection
    assert ledger.connection(8) is None
    with pytest.raises(NotFoundError):
        ledger.connection_by_id(99)


def test_a_project_is_connected_to_each_model_by_itself(ledger: Ledger, connection: Connection) -> None:
    later(ledger, 1)
    other = ledger.remember_project(Connection(URL, 7, "<View></View>", "other", model="other"))
    assert other.id != connection.id
    assert ledger.connections() == [other, connection]
    assert (ledger.connections("model"), ledger.connections("third")) == ([connection], [])
    assert ledger.connection(7, URL, model="model") == connection
    assert ledger.connection(7, URL, model="third") is None
    ledger.plan(VERSION, connection, tasks(1, 3))
    ledger.plan("other-12345678", other, tasks(1, 3))
    assert (ledger.versions("model"), ledger.versions("other")) == ([VERSION], ["other-12345678"])
    assert ledger.versions() == ["other-12345678", VERSION]
    assert ledger.job(ledger.create_job("tasks", other, "other-12345678")).model == "other"
    assert ledger.forget_tasks(connection, [2]) == 2  # a deleted task is gone for all models
    assert ledger.states("other-12345678", other) == {1: "planned", 2: "gone", 3: "planned"}


def test_a_project_that_a_command_spoke_of_is_not_connected_and_one_that_is_stays_so(
    ledger: Ledger, connection: Connection
) -> None:
    asked = ledger.remember_project(dataclasses.replace(connection, id=0, project=8, connected=False))
    assert not asked.connected
    assert ledger.remember_project(dataclasses.replace(asked, connected=True)).connected
    assert ledger.remember_project(dataclasses.replace(asked, connected=False)).connected


def test_a_version_belongs_to_one_model(ledger: Ledger) -> None:
    assert ledger.model_of("model-12345678") == "model"  # by its name, as long as nobody said
    ledger.remember_run("v1", "cats")
    ledger.remember_run("v1", "cats")
    assert ledger.model_of("v1") == "cats"
    with pytest.raises(SettingsError, match="'v1' is one of the model 'cats' already"):
        ledger.remember_run("v1", "dogs")


# -- planning


def test_tasks_are_planned_once(ledger: Ledger, connection: Connection) -> None:
    assert ledger.plan(VERSION, connection, iter(tasks(1, 2500))) == 2500
    assert ledger.plan(VERSION, connection, tasks(2000, 2600)) == 100
    assert ledger.plan("model-87654321", connection, tasks(1, 10)) == 10
    rows = ledger.planned(version=VERSION, limit=10_000)
    assert [row.task.id for row in rows] == list(range(1, 2601))
    assert rows[0].task == Task(1, {"text": "text 1"}, 7)
    assert [row.task.id for row in ledger.planned(version=VERSION, after=rows[9].id, limit=2)] == [11, 12]
    assert [row.task.id for row in ledger.planned(version=VERSION, tasks=[5, 9, 9999])] == [5, 9]


def test_planning_5000_tasks_is_no_matter_of_seconds(ledger: Ledger, connection: Connection) -> None:
    many = tasks(1, 5000)
    began = time.process_time()
    ledger.plan(VERSION, connection, many)
    assert time.process_time() - began < 5.0  # some 0.15 s; the bound only catches a blunder


def test_a_task_whose_data_or_config_changed_is_planned_anew(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 3))
    predict(ledger, ledger.planned())
    send(ledger)
    assert ledger.plan(VERSION, connection, tasks(1, 3)) == 0
    assert ledger.plan(VERSION, connection, tasks(2, 2, "changed")) == 1
    changed = ledger.remember_project(Connection(URL, 7, "<View> </View>", model="model"))
    assert ledger.plan(VERSION, changed, tasks(1, 1)) == 1
    predict(ledger, ledger.planned())
    (waiting,) = ledger.waiting(URL)
    chunk = ledger.begin_chunk(waiting, 10, 10**8)
    assert chunk is not None
    assert [(row.task, row.verify) for row in chunk.rows] == [(1, True), (2, True)]


def test_stored_tasks_that_label_studio_lacks_are_planned_anew(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 3))
    predict(ledger, ledger.planned())
    before = ledger.now()
    later(ledger, 10)
    send(ledger)
    # looked up before the predictions were stored: their absence says nothing
    assert ledger.plan(VERSION, connection, tasks(1, 3), replan=[1, 2, 3], as_of=before) == 0
    later(ledger, 20)
    assert ledger.plan(VERSION, connection, tasks(1, 3), replan=[2], as_of=ledger.now()) == 1
    assert [row.task.id for row in ledger.planned()] == [2]


def test_live_answers_are_planned_anew_only_when_label_studio_had_time_to_store_them(
    ledger: Ledger, connection: Connection
) -> None:
    (task,) = tasks(1, 1)
    config = config_hash("<View/>")
    assert ledger.claim_live(VERSION, connection, [(task, config, answer())]) == [True]
    later(ledger, 1)
    assert ledger.plan(VERSION, connection, [task], replan=[1]) == 0
    later(ledger, 2 + ANSWER_GRACE_S)
    assert ledger.plan(VERSION, connection, [task], replan=[1]) == 1


def test_what_failed_or_was_cancelled_is_planned_again_only_when_a_person_asks(
    ledger: Ledger, connection: Connection
) -> None:
    job = ledger.create_job("project", connection, VERSION)
    ledger.plan(VERSION, connection, tasks(1, 2), job=job)
    ledger.record([(ledger.planned()[0], DataError("unreadable.", task=1))])
    ledger.cancel_job(job)
    assert ledger.plan(VERSION, connection, tasks(1, 2), replan=[1, 2]) == 0
    assert ledger.plan(VERSION, connection, tasks(1, 2), again=True) == 2


def test_deleted_tasks_are_gone_until_their_ids_come_back(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 3))
    assert ledger.forget_tasks(connection, [2, 3]) == 2
    assert [row.task.id for row in ledger.planned()] == [1]
    assert ledger.plan(VERSION, connection, tasks(3, 3)) == 1


def test_planned_tasks_of_an_ended_job_move_to_the_next_one(ledger: Ledger, connection: Connection) -> None:
    first = ledger.create_job("project", connection, VERSION)
    ledger.plan(VERSION, connection, tasks(1, 3), job=first)
    second = ledger.create_job("project", connection, VERSION)
    assert ledger.plan(VERSION, connection, tasks(1, 4), job=second) == 1
    assert ledger.job(first).total == 3
    ledger.set_job_state(first, "failed")
    assert ledger.plan(VERSION, connection, tasks(1, 4), job=second) == 0
    assert ledger.job(second).total == 4


# -- results


def test_results_are_recorded_and_failures_quarantined_with_their_data(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 3))
    rows = ledger.planned()
    not_json = Prediction(({"value": {1, 2}},), 0.5, VERSION)  # type: ignore[dict-item]
    assert ledger.record([(rows[0], answer()), (rows[1], DataError("unreadable.")), (rows[2], not_json)]) == 3
    assert ledger.states(VERSION, connection) == {1: "pending", 2: "quarantined", 3: "quarantined"}
    found = {one.task: one for one in ledger.quarantined(project=7, version=VERSION)}
    assert found[2].data == {"text": "text 2"}
    assert found[2].error == "unreadable."
    assert "JSON" in found[3].error
    assert ledger.retry_quarantined(connection, tasks=[2]) == 1
    assert [row.task.id for row in ledger.planned()] == [2]


def test_data_is_cleared_once_it_is_predicted(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 1))
    predict(ledger, ledger.planned())
    with ledger.database.read() as db:
        assert db.execute(predictions.select()).one().data is None


def test_a_result_for_what_has_changed_meanwhile_is_dropped(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 3))
    rows = ledger.planned()
    ledger.plan(VERSION, connection, tasks(1, 1, "changed"))
    assert ledger.claim_live(VERSION, connection, [(rows[1].task, config_hash("<View/>"), answer())]) == [True]
    assert ledger.record((row, answer()) for row in rows) == 1
    assert ledger.states(VERSION, connection) == {1: "planned", 2: "answered", 3: "pending"}


def test_old_versions_without_work_are_not_looked_after(ledger: Ledger, connection: Connection) -> None:
    for number in range(4):
        ledger.enter(f"m-{number}", connection.model, shadow=False)
    ledger.create_job("project", connection, "m-0")
    ledger.set_job_state(ledger.create_job("project", connection, "m-1"), "done")
    assert sorted(ledger.versions_at_work(2)) == ["m-0", "m-2", "m-3"]


def test_a_prediction_goes_out_under_the_ledgers_version(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 1))
    ledger.record([(ledger.planned()[0], answer("something else"))])
    chunk = ledger.begin_chunk(ledger.waiting(URL)[0], 10, 10**8)
    assert chunk is not None
    assert f'"model_version":"{VERSION}"' in chunk.rows[0].payload


# -- live


def test_a_live_answer_is_claimed_once_and_never_while_it_is_being_sent(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 4))
    rows = ledger.planned()
    predict(ledger, rows[1:4])  # 2, 3 and 4 are pending
    (waiting,) = ledger.waiting(URL)
    chunk = ledger.begin_chunk(waiting, 2, 10**8)  # 2 and 3 are being sent
    assert chunk is not None
    claims = [(task, config_hash("<View/>"), answer()) for task in tasks(1, 5)]
    assert ledger.answered_lately(VERSION, connection, range(1, 6)) == {2, 3}
    assert ledger.claim_live(VERSION, connection, claims) == [True, False, False, True, True]
    assert ledger.claim_live(VERSION, connection, claims) == [False] * 5
    assert ledger.answered_lately(VERSION, connection, range(1, 7)) == {1, 2, 3, 4, 5}
    ledger.settle(chunk, stored=[row.id for row in chunk.rows])
    assert ledger.claim_live(VERSION, connection, claims) == [False] * 5
    later(ledger, 6)  # Label Studio asks again: it lacks them
    assert ledger.answered_lately(VERSION, connection, range(1, 6)) == set()
    assert ledger.claim_live(VERSION, connection, claims) == [True] * 5
    assert ledger.waiting(URL) == []


def test_a_task_whose_sending_is_in_doubt_is_not_answered_live(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 1))
    predict(ledger, ledger.planned())
    chunk = ledger.begin_chunk(ledger.waiting(URL)[0], 10, 10**8)
    assert chunk is not None
    ledger.settle(chunk, release=[chunk.rows[0].id], doubtful=True)
    assert ledger.claim_live(VERSION, connection, [(tasks(1, 1)[0], config_hash("<View/>"), answer())]) == [False]


def test_of_many_simultaneous_claims_of_a_task_one_wins(ledger: Ledger, connection: Connection) -> None:
    claims = [(task, config_hash("<View/>"), answer()) for task in tasks(1, 20)] * 10
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda claim: ledger.claim_live(VERSION, connection, [claim])[0], claims))
    assert sum(won) == 20
    assert Counter(ledger.states(VERSION, connection).values()) == {"answered": 20}


def test_a_claim_of_a_project_that_nobody_announced_is_remembered(ledger: Ledger) -> None:
    unknown = Connection("http://new/", 3, model="model")
    assert ledger.claim_live(VERSION, unknown, [(tasks(1, 1)[0], config_hash(""), answer())]) == [True]
    known = ledger.connection(3)
    assert known is not None
    assert (known.instance, known.model) == ("http://new", "model")


def test_a_bad_claim_costs_only_its_caller(ledger: Ledger, connection: Connection) -> None:
    config = config_hash("<View/>")
    bad = Task(2, {"text": object()}, 7)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        good = [
            pool.submit(ledger.claim_live, VERSION, connection, [(task, config, answer())]) for task in tasks(10, 19)
        ]
        broken = pool.submit(ledger.claim_live, VERSION, connection, [(bad, config, answer())])
        assert [one.result() for one in good] == [[True]] * 10
        with pytest.raises(TypeError):
            broken.result()


def test_a_task_that_fails_live_is_quarantined(ledger: Ledger, connection: Connection) -> None:
    (task,) = tasks(1, 1)
    ledger.quarantine(VERSION, connection, [(task, config_hash("<View/>"), DataError("unreadable."))])
    (found,) = ledger.quarantined()
    assert (found.task, found.error, found.data) == (1, "unreadable.", {"text": "text 1"})
    ledger.claim_live(VERSION, connection, [(task, config_hash("<View/>"), answer())])
    assert ledger.quarantined() == []


# -- chunks


def test_chunks_are_limited_in_number_and_bytes(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 10))
    predict(ledger, ledger.planned())
    (waiting,) = ledger.waiting(URL)
    assert (waiting.rows, waiting.version, waiting.connection) == (10, VERSION, connection)
    chunk = ledger.begin_chunk(waiting, 4, 10**8)
    assert chunk is not None
    assert [row.task for row in chunk.rows] == [1, 2, 3, 4]
    small = ledger.begin_chunk(waiting, 4, 2 * len(chunk.rows[0].payload))
    assert small is not None
    assert len(small.rows) == 2
    one = ledger.begin_chunk(waiting, 4, 1)
    assert one is not None
    assert len(one.rows) == 1  # one is always sent
    rest = ledger.begin_chunk(waiting, 100, 10**8)
    assert rest is not None
    assert len(rest.rows) == 3
    assert ledger.begin_chunk(waiting, 100, 10**8) is None
    assert [len(left.rows) for left in ledger.unsettled(URL)] == [4, 2, 1, 3]


def test_a_chunk_stays_unsettled_until_each_row_is_settled(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 5))
    predict(ledger, ledger.planned())
    chunk = ledger.begin_chunk(ledger.waiting(URL)[0], 10, 10**8)
    assert chunk is not None
    one, two, three, four, five = (row.id for row in chunk.rows)
    assert ledger.settle(chunk, stored=[one], refused={two: "no such label"}) == 3
    (left,) = ledger.unsettled(URL)
    assert [row.id for row in left.rows] == [three, four, five]
    assert ledger.settle(chunk, gone=[three], release=[four, five], doubtful=True, verify_at=ledger.now() + 60) == 0
    assert ledger.unsettled(URL) == []
    assert ledger.states(VERSION, connection) == {1: "stored", 2: "refused", 3: "gone", 4: "pending", 5: "pending"}
    again = ledger.begin_chunk(ledger.waiting(URL)[0], 10, 10**8)
    assert again is not None
    assert [row.verify for row in again.rows] == [True, True]
    assert ledger.retry_quarantined(connection) == 1  # a refused prediction waits again


def test_a_lane_that_lost_its_chunk_settles_nothing(ledger: Ledger, connection: Connection) -> None:
    ledger.plan(VERSION, connection, tasks(1, 2))
    predict(ledger, ledger.planned())
    lost = ledger.begin_chunk(ledger.waiting(URL)[0], 10, 10**8)
    assert lost is not None
    ledger.settle(lost, release=[row.id for row in lost.rows], doubtful=True)
    taken = ledger.begin_chunk(ledger.waiting(URL)[0], 10, 10**8)
    assert taken is not None
    ledger.settle(lost, stored=[row.id for row in lost.rows])
    assert set(ledger.states(VERSION, connection).values()) == {"sending"}


def test_work_and_due_looks_are_found_by_label_studio(ledger: Ledger, connection: Connection) -> None:
    assert ledger.instances_with_work() == []
    ledger.plan(VERSION, connection, tasks(1, 1))
    assert ledger.instances_with_work() == []
    predict(ledger, ledger.planned())
    assert ledger.instances_with_work() == [URL]
    chunk = ledger.begin_chunk(ledger.waiting(URL)[0], 10, 10**8)
    assert chunk is not None
    ledger.settle(chunk, stored=[chunk.rows[0].id], verify_at=ledger.now() + 60)
    assert ledger.instances_with_work() == []
    assert ledger.next_due(URL) == pytest.approx(ledger.now() + 60, abs=5)
    later(ledger, 61)
    assert ledger.instances_with_work() == [URL]
    (due,) = ledger.to_verify(URL)
    assert [row.task for row in due.rows] == [1]
    ledger.verified(due)
    assert ledger.next_due(URL) is None


def test_more_is_on_its_way_while_an_active_job_lists_or_has_planned_tasks(
    ledger: Ledger, connection: Connection
) -> None:
    assert not ledger.producing(URL)
    job = ledger.create_job("project", connection, VERSION)
    assert ledger.producing(URL)
    ledger.plan(VERSION, connection, tasks(1, 1), job=job)
    ledger.set_job_listed(job)
    assert ledger.producing(URL)
    assert not ledger.producing("http://other")
    predict(ledger, ledger.planned())
    assert not ledger.producing(URL)


def test_a_lease_has_one_owner_until_it_ends(ledger: Ledger) -> None:
    assert ledger.acquire_lease("push", "a", 10)
    assert not ledger.acquire_lease("push", "b", 10)
    assert ledger.acquire_lease("push", "a", 10)
    later(ledger, 11)
    assert ledger.acquire_lease("push", "b", 10)
    ledger.release_lease("push", "a")
    assert not ledger.acquire_lease("push", "a", 10)
    ledger.release_lease("push", "b")
    assert ledger.acquire_lease("push", "a", 10)


# -- jobs


def test_a_jobs_progress_is_counted_from_its_tasks(ledger: Ledger, connection: Connection) -> None:
    job = ledger.create_job("project", connection, VERSION, reason="import", options={"only_missing": True})
    ledger.plan(VERSION, connection, tasks(1, 6), job=job)
    assert ledger.set_job_state(job, "running")
    rows = ledger.planned(job=job)
    ledger.record([(rows[0], answer()), (rows[1], answer()), (rows[2], DataError("unreadable."))])
    send(ledger, limit=1)
    row = ledger.job(job)
    assert (row.total, row.predicted, row.stored, row.failed, row.finished) == (6, 3, 1, 1, 2)
    assert (row.kind, row.project, row.version, row.instance) == ("project", 7, VERSION, URL)
    assert (row.state, row.reason, row.options) == ("running", "import", {"only_missing": True})
    assert row.started_at is not None
    assert row.finished_at is None
    assert ledger.jobs() == [row]
    assert ledger.jobs(states=["done"]) == []
    with pytest.raises(NotFoundError):
        ledger.job("unknown")


def test_a_cancelled_job_stops_what_is_not_being_sent_and_can_be_resumed(
    ledger: Ledger, connection: Connection
) -> None:
    job = ledger.create_job("project", connection, VERSION)
    ledger.plan(VERSION, connection, tasks(1, 4), job=job)
    predict(ledger, ledger.planned()[:3])
    send(ledger, limit=1)
    chunk = ledger.begin_chunk(ledger.waiting(URL)[0], 1, 10**8)
    assert chunk is not None
    assert ledger.cancel_job(job) == 2
    assert ledger.cancel_job(job) == 0
    assert ledger.cancel_requested(job)
    assert not ledger.set_job_state(job, "running")
    assert ledger.states(VERSION, connection) == {1: "stored", 2: "sending", 3: "cancelled", 4: "cancelled"}
    assert ledger.resume_job(job) == 2
    assert not ledger.cancel_requested(job)
    assert ledger.states(VERSION, connection) == {1: "stored", 2: "sending", 3: "pending", 4: "planned"}
    assert ledger.job(job).state == "queued"


if __name__ == "__main__":  # a process of `test_several_processes_may_open_a_new_registry_at_once`
    print(open_and_plan(*sys.argv[1:]))
