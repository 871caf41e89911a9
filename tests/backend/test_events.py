"""Events that a model is to learn from: kept in order until it has, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prelabel.errors import OverloadedError
from prelabel.runs import Ledger
from prelabel.runs import events as limits
from prelabel.runs.events import ModelEvent
from prelabel.runs.tables import model_events
from prelabel.settings import load_settings


@pytest.fixture
def ledger(database_url: str, tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(load_settings(data_dir=tmp_path / "data", database_url=database_url))
    yield opened
    opened.close()


def begun(ledger: Ledger, model: str = "moods") -> ModelEvent:
    event = ledger.next_event(model)
    assert event is not None
    return event


def test_events_come_in_their_order_and_go_when_they_are_learnt(ledger: Ledger) -> None:
    for number in range(3):
        ledger.hear("moods", "7", "ANNOTATION_CREATED", {"annotation": {"id": number}, "text": "naïve"})
    ledger.hear("others", "7", "ANNOTATION_CREATED", {})
    seen = []
    for _ in range(3):
        event = begun(ledger)
        seen.append((event.event, event.project, event.body["annotation"]["id"], event.body["text"]))
        ledger.learnt(event.id)
    assert seen == [("ANNOTATION_CREATED", "7", number, "naïve") for number in range(3)]
    assert ledger.next_event("moods") is None
    assert len(ledger.events("others")) == 1


def test_an_event_that_never_ended_is_begun_again_and_given_up_after_three_times(ledger: Ledger) -> None:
    first = ledger.hear("moods", "7", "START_TRAINING", {})
    second = ledger.hear("moods", "7", "ANNOTATION_CREATED", {})
    assert [begun(ledger).id for _ in range(4)] == [first, first, first, second]
    (given_up,) = ledger.events("moods", failed=True)
    assert (given_up.id, given_up.error) == (first, "the process ended 3 times while the model had it")


def test_what_was_put_back_was_never_begun(ledger: Ledger) -> None:
    first = ledger.hear("moods", "7", "START_TRAINING", {})
    for _ in range(5):
        assert begun(ledger).id == first
        ledger.put_back(first)


def test_a_failed_event_is_kept_with_its_reason_and_holds_up_no_other(ledger: Ledger) -> None:
    ledger.hear("moods", "7", "ANNOTATION_CREATED", {"n": 1})
    ledger.hear("moods", "7", "ANNOTATION_CREATED", {"n": 2})
    ledger.event_failed(begun(ledger), "no such label")
    assert begun(ledger).body == {"n": 2}
    (failed,) = ledger.events("moods", failed=True)
    assert (failed.body, failed.error) == ({"n": 1}, "no such label")


def test_of_failed_events_the_last_hundred_are_kept(ledger: Ledger) -> None:
    for number in range(limits.KEPT_FAILED + 5):
        ledger.hear("moods", "7", "ANNOTATION_CREATED", {"n": number})
        ledger.event_failed(begun(ledger), "no")
    kept = ledger.events("moods", failed=True, limit=1000)
    assert [event.body["n"] for event in kept] == list(range(5, limits.KEPT_FAILED + 5))


def test_more_events_than_may_wait_are_refused(ledger: Ledger) -> None:
    with ledger.database.write() as db:
        row = {"model": "moods", "project": "7", "event": "ANNOTATION_CREATED", "body": "{}", "received_at": 1.0}
        db.execute(model_events.insert(), [row] * limits.MOST_WAITING)
    with pytest.raises(OverloadedError, match="10000 events wait for moods"):
        ledger.hear("moods", "7", "ANNOTATION_CREATED", {})
    ledger.learnt(begun(ledger).id)
    ledger.hear("moods", "7", "ANNOTATION_CREATED", {})
