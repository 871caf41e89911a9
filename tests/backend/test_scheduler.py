"""The scheduler: micro-batches, priorities, deadlines, bisecting, memory back-off, stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from prelabel.errors import (
    CancelledError,
    DataUnavailableError,
    ModelError,
    ModelLoadError,
    ModelMemoryError,
    OverloadedError,
)
from prelabel.scheduler import Answer, Scheduler, Ticket, is_out_of_memory

INTERACTIVE, LIVE, BULK = 0, 1, 2


class Gated:
    """A model whose calls wait until they are let through, and which remembers what it was called with."""

    version = "gated-1"
    max_batch_size: int | None = None

    def __init__(self, say: Callable[[list[Any]], Any] | None = None, *, gated: bool = False) -> None:
        self.say = say or (lambda batch: [f"said {item}" for item in batch])
        self.calls: list[list[Any]] = []
        self.threads: set[int] = set()
        self.let = threading.Semaphore(0 if gated else 1_000_000)
        self.entered = threading.Semaphore(0)
        self.unloaded = False
        self.load_gate = threading.Event()
        self.load_gate.set()

    def load(self) -> None:
        self.threads.add(threading.get_ident())
        assert self.load_gate.wait(10)

    def predict(self, batch: Sequence[Any]) -> Any:
        self.threads.add(threading.get_ident())
        self.calls.append(list(batch))
        self.entered.release()
        assert self.let.acquire(timeout=10)
        return self.say(list(batch))

    def unload(self) -> None:
        self.unloaded = True


@pytest.fixture
def start() -> Iterator[Callable[..., Scheduler]]:
    """Makes schedulers that are closed when the test ends."""
    with ExitStack() as stack:

        def make(engine: Any, **options: Any) -> Scheduler:
            scheduler = Scheduler(engine, **{"max_batch_size": 4, "batch_wait_s": 0.05, **options})
            scheduler.start()

            def end() -> None:
                for let in {getattr(engine, "let", None)} - {None}:
                    let.release(1000)
                scheduler.close(5)

            stack.callback(end)
            return scheduler

        yield make


def put(scheduler: Scheduler, *items: Any, priority: int = LIVE, **options: Any) -> Ticket:
    ticket = scheduler.open(len(items), priority=priority, **options)
    for index, item in enumerate(items):
        ticket.put(index, item)
    return ticket


def finish(ticket: Ticket, timeout: float = 10.0) -> list[Answer]:
    """Wait until every item has its answer."""
    left, until = len(ticket.answers), time.monotonic() + timeout
    while left:
        done = ticket.wait(until - time.monotonic())
        assert done, "not finished in time"
        left -= len(done)
    return [answer for answer in ticket.answers if answer is not None]


def raws(ticket: Ticket) -> list[Any]:
    return [answer.raw for answer in finish(ticket)]


def errors(ticket: Ticket) -> list[Any]:
    return [answer.error for answer in finish(ticket)]


def occupy(scheduler: Scheduler, engine: Gated) -> Ticket:
    """Have the model busy with one bulk item."""
    ticket = put(scheduler, "busy", priority=BULK)
    assert engine.entered.acquire(timeout=10)
    return ticket


def test_a_lone_request_is_a_batch_of_its_own_and_does_not_wait(start: Any) -> None:
    engine = Gated()
    scheduler = start(engine, batch_wait_s=3600)
    assert raws(put(scheduler, "a")) == ["said a"]
    assert engine.calls == [["a"]]


def test_answers_carry_the_version_that_made_them(start: Any) -> None:
    assert finish(put(start(Gated()), "a"))[0].version == "gated-1"


def test_requests_that_come_while_the_model_works_become_one_batch(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    first = occupy(scheduler, engine)
    tickets = [put(scheduler, name) for name in "abc"]
    engine.let.release(2)
    assert [raws(ticket) for ticket in tickets] == [["said a"], ["said b"], ["said c"]]
    assert raws(first) == ["said busy"]
    assert engine.calls[1] == ["a", "b", "c"]


def test_a_batch_waits_for_items_that_are_known_to_be_on_their_way(start: Any) -> None:
    engine = Gated()
    scheduler = start(engine, batch_wait_s=3600)
    announced = scheduler.open(1, priority=LIVE)
    other = put(scheduler, "a")
    announced.put(0, "b")  # nothing else is on its way now: both go together, without waiting
    assert (raws(other), raws(announced)) == (["said a"], ["said b"])
    assert engine.calls == [["a", "b"]]


def test_a_full_batch_waits_for_nobody(start: Any) -> None:
    engine = Gated()
    scheduler = start(engine, batch_wait_s=3600)
    with scheduler.open(1, priority=LIVE):
        assert raws(put(scheduler, *"abcd")) == ["said a", "said b", "said c", "said d"]


def test_an_announced_item_whose_data_failed_does_not_hold_up_the_others(start: Any) -> None:
    scheduler = start(Gated(), batch_wait_s=3600)
    ticket = scheduler.open(2, priority=LIVE)
    ticket.put(0, "a")
    failure = DataUnavailableError("gone.")
    ticket.skip(1, failure)
    answers = finish(ticket)
    assert answers[0].raw == "said a"
    assert answers[1].error is failure


def test_closing_a_ticket_takes_its_announced_items_back(start: Any) -> None:
    scheduler = start(Gated(), batch_wait_s=3600)
    given_up = scheduler.open(5, priority=LIVE)
    other = put(scheduler, "a")
    given_up.close()
    assert raws(other) == ["said a"]


def test_interactive_overtakes_live_and_live_overtakes_bulk(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine, max_batch_size=2)
    occupy(scheduler, engine)
    tickets = [
        put(scheduler, "b1", "b2", "b3", priority=BULK),
        put(scheduler, "l1", "l2", priority=LIVE),
        put(scheduler, "i1", priority=INTERACTIVE),
    ]
    engine.let.release(100)
    for ticket in tickets:
        finish(ticket)
    assert engine.calls[1:] == [["i1"], ["l1", "l2"], ["b1", "b2"], ["b3"]]


def test_an_interactive_batch_is_not_filled_up_so_that_it_stays_short(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    occupy(scheduler, engine)
    bulk, click = put(scheduler, *"abcdef", priority=BULK), put(scheduler, "click", priority=INTERACTIVE)
    engine.let.release(100)
    finish(bulk)
    finish(click)
    assert engine.calls[1] == ["click"]


def test_a_live_batch_is_filled_up_with_bulk_items(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    occupy(scheduler, engine)
    bulk, live = put(scheduler, *"abcdef", priority=BULK), put(scheduler, "live", priority=LIVE)
    engine.let.release(100)
    finish(bulk)
    finish(live)
    assert engine.calls[1] == ["live", "a", "b", "c"]


def test_an_item_whose_deadline_is_over_never_reaches_the_model(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    occupy(scheduler, engine)
    late = put(scheduler, "late", deadline=time.monotonic() + 0.01)
    assert late.wait(0.02) == []
    time.sleep(0.02)
    engine.let.release(100)
    answer = finish(late)[0]
    assert (answer.raw, answer.error, answer.version) == (None, None, "")
    assert engine.calls == [["busy"]]
    assert scheduler.stats.dropped == 1


def test_a_request_whose_client_has_gone_never_reaches_the_model(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    occupy(scheduler, engine)
    gone = put(scheduler, "x", "y", cancelled=lambda: True)
    stays = put(scheduler, "z", cancelled=lambda: False)
    engine.let.release(100)
    assert all(isinstance(error, CancelledError) for error in errors(gone))
    assert raws(stays) == ["said z"]
    assert engine.calls == [["busy"], ["z"]]


def test_a_question_for_the_client_that_fails_counts_as_no(start: Any) -> None:
    def broken() -> bool:
        raise OSError("socket closed")

    assert raws(put(start(Gated()), "a", cancelled=broken)) == ["said a"]


def test_what_a_closed_ticket_left_behind_is_not_computed(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    occupy(scheduler, engine)
    put(scheduler, "x").close()
    other = put(scheduler, "a")
    engine.let.release(100)
    assert raws(other) == ["said a"]
    assert engine.calls == [["busy"], ["a"]]


def failing_on(*culprits: Any) -> Callable[[list[Any]], list[str]]:
    def say(batch: list[Any]) -> list[str]:
        if any(item in culprits for item in batch):
            raise ValueError("cannot take it")
        return [f"said {item}" for item in batch]

    return say


def test_a_failing_batch_is_halved_until_the_culprit_stands_alone(start: Any) -> None:
    engine = Gated(failing_on("c", "g"))
    scheduler = start(engine, max_batch_size=8)
    answers = finish(put(scheduler, *"abcdefgh"))
    assert [answer.raw for answer in answers if answer.error is None] == [f"said {name}" for name in "abdefh"]
    for culprit in (answers[2], answers[6]):
        assert isinstance(culprit.error, ModelError)
        assert "ValueError: cannot take it" in str(culprit.error)
    assert ["c"] in engine.calls
    assert ["g"] in engine.calls


def test_interactive_requests_overtake_the_search_for_a_culprit(start: Any) -> None:
    engine = Gated(failing_on("a"), gated=True)
    scheduler = start(engine)
    bulk = put(scheduler, *"abcd", priority=BULK)
    assert engine.entered.acquire(timeout=10)
    click = put(scheduler, "click", priority=INTERACTIVE)
    engine.let.release(100)
    finish(click)
    finish(bulk)
    assert engine.calls[:2] == [["a", "b", "c", "d"], ["click"]]


def test_a_service_that_is_away_fails_the_batch_without_looking_for_a_culprit(start: Any) -> None:
    def away(_batch: list[Any]) -> Any:
        raise DataUnavailableError("the inference server does not answer.")

    engine = Gated(away)
    failed = errors(put(start(engine), *"abc"))
    assert all(isinstance(error, DataUnavailableError) for error in failed)
    assert len(engine.calls) == 1


def test_a_model_that_exits_does_not_take_the_thread_along(start: Any) -> None:
    def leave(batch: list[Any]) -> list[Any]:
        if batch == ["bad"]:
            raise SystemExit(3)
        return batch

    scheduler = start(Gated(leave))
    assert isinstance(errors(put(scheduler, "bad"))[0], ModelError)
    assert raws(put(scheduler, "good")) == ["good"]


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OutOfMemoryError("x"), RuntimeError("CUDA error: out of memory"), RuntimeError("Out of Memory")],
)
def test_running_out_of_memory_is_known_by_type_name_and_text(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(ValueError("out of memory"))


def test_running_out_of_memory_halves_the_batch_and_the_size_that_works_is_remembered(start: Any) -> None:
    def at_most_two(batch: list[Any]) -> list[Any]:
        if len(batch) > 2:
            raise MemoryError
        return batch

    engine = Gated(at_most_two)
    scheduler = start(engine, max_batch_size=8)
    assert raws(put(scheduler, *"abcdefgh")) == list("abcdefgh")
    assert scheduler.batch_limit == 2
    engine.calls.clear()
    assert raws(put(scheduler, *"ijkl")) == list("ijkl")
    assert engine.calls == [["i", "j"], ["k", "l"]]


def test_one_huge_item_does_not_make_all_later_batches_small(start: Any) -> None:
    def huge(batch: list[Any]) -> list[Any]:
        if "huge" in batch:
            raise MemoryError
        return batch

    scheduler = start(Gated(huge), max_batch_size=8)
    found = errors(put(scheduler, "a", "huge", "b", "c"))
    assert [type(error) for error in found] == [type(None), ModelMemoryError, type(None), type(None)]
    assert scheduler.batch_limit == 8


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ([1, 2, 3], "3 results for 1 items"),
        ([], "0 results for 1 items"),
        ({"Positive": 0.9}, "dict"),
        ("Positive", "str"),
        (None, "NoneType"),
        (7, "int"),
    ],
)
def test_results_of_the_wrong_form_or_length_are_the_models_error(start: Any, result: Any, said: str) -> None:
    error = errors(put(start(Gated(lambda _batch: result)), "a"))[0]
    assert isinstance(error, ModelError)
    assert said in str(error)


def test_results_may_come_from_a_generator(start: Any) -> None:
    assert raws(put(start(Gated(lambda batch: (item * 2 for item in batch))), "a", "b")) == ["aa", "bb"]


def test_more_than_the_queue_takes_is_refused_but_more_urgent_requests_are_not(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine, max_queued_items=4)
    occupy(scheduler, engine)
    bulk = put(scheduler, *"abcd", priority=BULK)
    with pytest.raises(OverloadedError):
        scheduler.open(1, priority=BULK)
    live = put(scheduler, "live", priority=LIVE)
    engine.let.release(100)
    finish(bulk)
    finish(live)
    assert scheduler.stats.refused == 1


def test_a_single_request_larger_than_the_queue_is_taken_when_nothing_waits(start: Any) -> None:
    assert len(raws(put(start(Gated(), max_queued_items=2), *"abcdef"))) == 6


def test_the_model_is_loaded_called_and_unloaded_by_one_thread(start: Any) -> None:
    engine = Gated()
    scheduler = start(engine)
    finish(put(scheduler, "a"))
    finish(put(scheduler, "b"))
    assert scheduler.close(5)
    assert engine.unloaded
    assert len(engine.threads) == 1
    assert threading.get_ident() not in engine.threads


def test_requests_wait_while_the_model_is_loading(start: Any) -> None:
    engine = Gated()
    engine.load_gate.clear()
    scheduler = start(engine)
    early = put(scheduler, "a")
    assert not scheduler.ready
    assert early.wait(0.02) == []
    engine.load_gate.set()
    assert raws(early) == ["said a"]
    assert scheduler.ready


def test_a_model_that_cannot_be_loaded_fails_those_who_wait_and_those_who_come(start: Any) -> None:
    class Broken(Gated):
        def load(self) -> None:
            super().load()
            raise OSError("no weights")

    engine = Broken()
    engine.load_gate.clear()
    scheduler = start(engine)
    early = put(scheduler, "a")
    engine.load_gate.set()
    assert isinstance(errors(early)[0], ModelLoadError)
    assert not scheduler.wait_ready(5)
    with pytest.raises(ModelLoadError, match="no weights"):
        scheduler.open(1, priority=LIVE)


def test_another_model_takes_over_without_dropping_requests(start: Any) -> None:
    old, new = Gated(gated=True), Gated(lambda batch: [f"new {item}" for item in batch])
    new.version = "gated-2"
    scheduler = start(old)
    running = occupy(scheduler, old)
    waiting = put(scheduler, "a")
    scheduler.replace(new)
    old.let.release()
    assert [(answer.raw, answer.version) for answer in finish(running)] == [("said busy", "gated-1")]
    assert [(answer.raw, answer.version) for answer in finish(waiting)] == [("new a", "gated-2")]
    assert old.unloaded
    assert not new.unloaded


def test_an_idle_scheduler_changes_models_at_once(start: Any) -> None:
    old, new = Gated(), Gated(lambda batch: [f"new {item}" for item in batch])
    scheduler = start(old)
    finish(put(scheduler, "a"))
    scheduler.replace(new)
    assert raws(put(scheduler, "b")) == ["new b"]


def test_closing_finishes_what_is_queued_and_refuses_what_comes(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    occupy(scheduler, engine)
    queued = put(scheduler, "a")
    closing = threading.Thread(target=scheduler.close, args=(10,))
    closing.start()
    while not scheduler._closing:
        time.sleep(0.001)
    with pytest.raises(OverloadedError):
        scheduler.open(1, priority=LIVE)
    engine.let.release(100)
    assert raws(queued) == ["said a"]
    closing.join(10)
    assert engine.unloaded


def test_what_is_not_finished_when_the_drain_is_over_is_given_back(start: Any) -> None:
    engine = Gated(gated=True)
    scheduler = start(engine)
    occupy(scheduler, engine)
    queued = put(scheduler, "a")
    assert not scheduler.close(0)  # the model's call is still running
    engine.let.release(100)
    assert isinstance(errors(queued)[0], OverloadedError)
    assert engine.calls == [["busy"]]


def test_an_engine_may_take_smaller_batches_than_the_setting(start: Any) -> None:
    engine = Gated()
    engine.max_batch_size = 1
    assert raws(put(start(engine), *"ab")) == ["said a", "said b"]
    assert engine.calls == [["a"], ["b"]]


def test_many_clients_at_once_all_get_their_own_answer(start: Any) -> None:
    scheduler = start(Gated(lambda batch: [item * 2 for item in batch]), max_batch_size=16)
    wrong: list[int] = []

    def client(number: int) -> None:
        for step in range(50):
            item = number * 1000 + step
            with scheduler.open(1, priority=number % 3) as ticket:
                ticket.put(0, item)
                if raws(ticket) != [item * 2]:
                    wrong.append(item)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert sum(scheduler.stats.items) == 16 * 50
    assert scheduler.queued() == [0, 0, 0]
    assert sum(scheduler.stats.sizes.counts) <= 16 * 50
