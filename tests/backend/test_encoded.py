"""What interactive models keep of open tasks: bounded by bytes, by task, data and version."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest

from prelabel.encoded import EncodedItems, Store, size_of
from prelabel.labeling import parse
from prelabel.model import Item
from prelabel.tasks import Task

CONFIG = parse('<View><Image name="image" value="$image"/><Brush name="b" toName="image"/></View>')
KILO = np.zeros(1000, np.uint8)


def item(number: int, image: str = "a.png") -> Item:
    return Item(Task(number, {"image": image}, 1), CONFIG)


def test_what_was_made_is_kept_and_what_was_not_used_for_longest_goes_first() -> None:
    store = Store(3500)
    kept = EncodedItems(store, "m-1")
    made: list[int | None] = []

    def encode(one: Item) -> np.ndarray:
        made.append(one.task.id)
        return KILO

    for number in (1, 2, 3, 1, 4):  # 1 was used again, so 2 is the oldest when 4 needs room
        kept.of(item(number), encode)
    assert made == [1, 2, 3, 4]
    assert [kept.has(item(number)) for number in (1, 2, 3, 4)] == [True, False, True, True]
    assert (store.bytes, len(store)) == (3000, 3)
    assert (store.counts.hits, store.counts.misses, store.counts.evicted) == (1, 4, 1)


def test_other_data_or_another_version_is_another_item() -> None:
    store = Store(10_000)
    kept = EncodedItems(store, "m-1")
    kept.of(item(1), lambda _: KILO)
    assert not kept.has(item(1, "b.png"))
    assert not EncodedItems(store, "m-2").has(item(1))
    EncodedItems(store, "m-2").of(item(1), lambda _: KILO)
    store.forget("m-1")
    assert not kept.has(item(1))
    assert (EncodedItems(store, "m-2").has(item(1)), store.bytes) == (True, 1000)


@pytest.mark.parametrize("most", [0, 999])
def test_what_is_larger_than_all_the_room_is_given_and_not_kept(most: int) -> None:
    store = Store(most)
    kept = EncodedItems(store, "m-1")
    kept.of(item(1), lambda _: None if most == 0 else np.zeros(10, np.uint8))
    assert kept.of(item(2), lambda _: KILO) is KILO
    assert not kept.has(item(2))
    assert store.counts.too_large >= 1


def test_what_cannot_be_made_is_not_kept() -> None:
    kept = EncodedItems(Store(10_000), "m-1")

    def encode(_: Item) -> np.ndarray:
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        kept.of(item(1), encode)
    assert kept.of(item(1), lambda _: KILO) is KILO


def test_sizes_are_those_of_what_is_inside() -> None:
    from PIL import Image

    @dataclass
    class Features:
        low: np.ndarray
        high: list[np.ndarray]

    assert size_of(KILO) == 1000
    assert 3000 < size_of(Features(KILO, [KILO, KILO])) < 3500
    assert 2000 < size_of({"a": KILO, "b": (KILO,)}) < 2500
    assert size_of(Image.new("RGB", (10, 20))) == 600


def test_threads_that_make_the_same_at_once_keep_one_of_them() -> None:
    store = Store(10_000)
    kept = EncodedItems(store, "m-1")
    together = threading.Barrier(4)

    def encode(_: Item) -> np.ndarray:
        together.wait(10)
        return KILO.copy()

    threads = [threading.Thread(target=kept.of, args=(item(1), encode)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(store), store.bytes) == (1, 1000)
