"""The value a task points at, in the type a model wants, with what was learnt about it on the way."""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, TypeVar

from prelabel.data import decode
from prelabel.data.fetch import Fetcher, LabelStudioFiles
from prelabel.errors import DataError, ModelError, PrelabelError, TaskError
from prelabel.labeling import LabelingConfig, ObjectTag
from prelabel.model import InputKind, Item
from prelabel.settings import Settings
from prelabel.tasks import Facts, Task

T = TypeVar("T")

_TEXT_TAGS = {"Text", "HyperText"}
_NATURAL = {
    "Text": InputKind.TEXT,
    "HyperText": InputKind.TEXT,
    "Image": InputKind.IMAGE,
    "Audio": InputKind.AUDIO,
    "AudioPlus": InputKind.AUDIO,
    "TimeSeries": InputKind.TABLE,
    "Video": InputKind.FILE,
    "Pdf": InputKind.FILE,
}
_ADDRESS = re.compile(r"\s*([a-z][a-z0-9+.\-_]{1,15}:|/)", re.IGNORECASE)
_INLINE_KINDS = {InputKind.VALUE, InputKind.TASK, InputKind.BARE}


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a model gets for one object tag of one task, and what is known about it now.

    ``value`` has the type that `InputKind` says; for a multi-page image (``valueList``) it is a list of them; of a
    hypertext it is the text that is seen, of paragraphs their texts, one a line.
    """

    value: Any
    facts: Facts


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One element of a model's batch: ``value`` in the model's input kind, ``facts`` by object tag name (lazy)."""

    task: Task
    value: Any
    facts: Mapping[str, Facts]


def natural_kind(tag: str) -> InputKind:
    """The kind in which an object tag's value goes into an :class:`~prelabel.Item`."""
    return _NATURAL.get(tag, InputKind.VALUE)


class DataReader:
    """Reads what tasks point at. Thread-safe; one per process.

    Args:
        settings: limits, cache, guard.
        label_studio: gives the client for uploads and cloud storage, or None while no Label Studio is known.
    """

    def __init__(self, settings: Settings, label_studio: Callable[[], LabelStudioFiles | None] = lambda: None) -> None:
        self._settings = settings
        self._label_studio = label_studio
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._fetcher = Fetcher(self._settings, self._label_studio)

    def _survive_fork(self) -> None:
        """Threads, locks and connections do not survive a fork: a child begins anew."""
        if self._pid != os.getpid():
            self._begin()

    def close(self) -> None:
        """Stop the threads and close connections. What is being read is finished first."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        self._fetcher.close()

    def cheap(self, task: Task, tag: ObjectTag, kind: InputKind) -> bool:
        """Whether reading is a look into the task's JSON: no file, no network, no decoding."""
        if kind in _INLINE_KINDS:
            return True
        if kind is InputKind.ITEM:
            kind = natural_kind(tag.tag)
            return kind is InputKind.VALUE or self.cheap(task, tag, kind)
        value = tag.value(task.data)
        if kind is InputKind.TEXT:
            return not _is_address(tag, value)
        return kind is InputKind.TABLE and not isinstance(value, str)

    def all_cheap(self, tasks: Sequence[Task], config: LabelingConfig, tag: ObjectTag, kind: InputKind) -> bool:
        """Whether all that `inputs` reads for these tasks is `cheap`."""
        tags = list(config.objects.values()) if kind is InputKind.ITEM else [tag]
        return all(self.cheap(task, each, kind) for task in tasks for each in tags)

    def read(self, task: Task, tag: ObjectTag, kind: InputKind) -> Resolved:
        """What one object tag of one task shows, as ``kind`` (``ITEM``: as the tag's `natural_kind`).

        Raises:
            TaskError: the task has no such field, or a value of the wrong type in it.
            DataError: what it points at cannot be read (see `prelabel.data.fetch`).
        """
        if kind is InputKind.TEXT and tag.tag == "Text":  # the fast path
            inline = task.data.get(tag.field)
            if type(inline) is str and not _is_address(tag, inline):
                return Resolved(inline, Facts(text=inline))
        if kind is InputKind.TASK:
            return Resolved(task, Facts())
        if kind is InputKind.ITEM:
            kind = natural_kind(tag.tag)
        try:
            return self._read(task, tag, kind)
        except (DataError, TaskError) as error:
            raise _located(error, task, tag) from error.__cause__

    def read_many(self, tasks: Sequence[Task], tag: ObjectTag, kind: InputKind) -> Iterator[Resolved | PrelabelError]:
        """`read` for many tasks: in their order, fetched ahead by threads, one task's error in that task's place."""

        def one(task: Task) -> Resolved:
            return self.read(task, tag, kind)

        return self._ahead(one, tasks, all(self.cheap(task, tag, kind) for task in tasks))

    def inputs(
        self,
        tasks: Sequence[Task],
        config: LabelingConfig,
        tag: ObjectTag,
        kind: InputKind,
        *,
        context: Mapping[str, Any] | None = None,
    ) -> Iterator[ModelInput | PrelabelError]:
        """The elements of a model's batch for many tasks, in order; what fails is the error in its place.

        Args:
            tasks: any number; about two per fetching thread are held at a time.
            config: the labeling config; with ``kind`` ITEM every object tag in it is resolved.
            tag: the primary object tag.
            kind: what the model wants.
            context: Label Studio's interactive context, for items.
        """

        def one(task: Task) -> ModelInput:
            return self.input(task, config, tag, kind, context=context)

        return self._ahead(one, tasks, self.all_cheap(tasks, config, tag, kind))

    def arriving(
        self,
        tasks: Sequence[Task],
        config: LabelingConfig,
        tag: ObjectTag,
        kind: InputKind,
        *,
        context: Mapping[str, Any] | None = None,
        cheap: bool | None = None,
    ) -> Iterator[tuple[int, ModelInput | PrelabelError]]:
        """As `inputs`, each with its task's number and as soon as it is there: a slow one holds up none behind it.

        ``cheap`` is what `all_cheap` says of them, for who has asked; None: it is asked.
        """

        def one(task: Task) -> ModelInput:
            return self.input(task, config, tag, kind, context=context)

        if cheap is None:
            cheap = self.all_cheap(tasks, config, tag, kind)
        return enumerate(self._ahead(one, tasks, cheap)) if cheap or len(tasks) == 1 else self._arriving(one, tasks)

    def input(
        self,
        task: Task,
        config: LabelingConfig,
        tag: ObjectTag,
        kind: InputKind,
        *,
        context: Mapping[str, Any] | None = None,
    ) -> ModelInput:
        """One element of a model's batch; see `inputs`.

        Raises:
            TaskError, DataError: as `read`.
        """
        if kind is InputKind.TASK:
            return ModelInput(task, task, LazyFacts(self, task, config))
        if kind is InputKind.BARE:
            return ModelInput(task, Item(task, config, context=context), LazyFacts(self, task, config))
        if kind is not InputKind.ITEM:
            resolved = self.read(task, tag, kind)
            return ModelInput(task, resolved.value, LazyFacts(self, task, config, {tag.name: resolved.facts}))
        values: dict[str, Any] = {}
        known: dict[str, Facts] = {}
        for name, each in config.objects.items():
            if name != tag.name and each.value(task.data) is None:
                continue
            resolved = self.read(task, each, kind)
            values[name], known[name] = resolved.value, resolved.facts
        item = Item(task=task, config=config, value=values[tag.name], values=values, context=context)
        return ModelInput(task, item, LazyFacts(self, task, config, known))

    def path(self, address: str, task: Task) -> Path:
        """A local copy of what an address points at, with the suffix it had; it stays for ten minutes.

        Raises:
            DataError: as `prelabel.data.fetch.Fetcher.open`.
        """
        self._survive_fork()
        with self._fetcher.open(address, task, lease=True) as fetched:
            if fetched.path is None:
                raise DataError("has no file on disk.")
            return fetched.path

    def facts(self, task: Task, tag: ObjectTag) -> Facts:
        """What is known about what a tag shows; for images and sounds only the file's header is decoded.

        Raises:
            TaskError, DataError: as `read`.
        """
        self._survive_fork()
        try:
            if tag.tag == "Image":
                pages = [self._opened(task, page, decode.image_facts) for page in _addresses(task, tag)]
                return _page_facts([(page.width or 0, page.height or 0) for page in pages])
            if tag.tag in {"Audio", "AudioPlus"}:
                return self._opened(task, _address(task, tag), decode.audio_facts)
            if tag.tag in _TEXT_TAGS or tag.tag == "Paragraphs":
                return self._read(task, tag, InputKind.TEXT).facts
        except (DataError, TaskError) as error:
            raise _located(error, task, tag) from error.__cause__
        return _tag_facts(tag)

    # --- one value
    def _read(self, task: Task, tag: ObjectTag, kind: InputKind) -> Resolved:
        self._survive_fork()
        if kind is InputKind.VALUE:
            return Resolved(_value(task, tag), _tag_facts(tag))
        if kind is InputKind.TEXT:
            return self._text(task, tag)
        if kind is InputKind.TABLE:
            return self._table(task, tag)
        if kind is InputKind.FILE:
            return self._file(task, tag)
        if kind is InputKind.AUDIO or (kind is InputKind.ARRAY and tag.tag in {"Audio", "AudioPlus"}):
            sound = self._opened(task, _address(task, tag), decode.audio)
            value = sound.samples if kind is InputKind.ARRAY else sound
            return Resolved(value, Facts(duration_s=sound.duration_s))
        if kind in {InputKind.IMAGE, InputKind.ARRAY}:
            return self._image(task, tag, kind)
        raise ModelError(f"there is no way to read the input kind {kind!r}.")

    def _text(self, task: Task, tag: ObjectTag) -> Resolved:
        value = _value(task, tag)
        if tag.tag == "Paragraphs":
            return self._paragraphs(task, tag, value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise TaskError(f"must be a text, not {_kind_of(value)}.", hint="Check the labeling config's field names.")
        if _is_address(tag, value):
            with self._fetcher.open(value, task) as fetched:
                value = decode.text(fetched.file, fetched.charset)
        if tag.tag == "HyperText":  # spans count in what is seen; the facts keep the page
            from prelabel.regions.html import visible_text  # noqa: PLC0415 (html5lib is imported by those who need it)

            inline = tag.attributes.get("inline", "").lower() == "true"
            return Resolved(visible_text(value, inline=inline).text, Facts(text=value))
        return Resolved(value, Facts(text=value))

    def _paragraphs(self, task: Task, tag: ObjectTag, value: Any) -> Resolved:
        if isinstance(value, str):
            if _is_address(tag, value):
                with self._fetcher.open(value, task) as fetched:
                    value = decode.text(fetched.file, fetched.charset)
            value = decode.json_value(value) if value.lstrip()[:1] == "[" else value.split("\n")
        key = tag.attributes.get("textKey", "text")
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TaskError(f"must be a list of paragraphs, not {_kind_of(value)}.", hint='Give [{"text": "..."}].')
        said = tuple(str(entry.get(key, "")) if isinstance(entry, Mapping) else str(entry) for entry in value)
        whole = "\n".join(said)
        return Resolved(whole, Facts(text=whole, paragraphs=said))

    def _table(self, task: Task, tag: ObjectTag) -> Resolved:
        value = _value(task, tag)
        if not isinstance(value, str):
            return Resolved(decode.columns(value), Facts())
        separator = tag.attributes.get("sep", "")
        if "\n" in value or value.lstrip()[:1] in {"{", "["}:
            return Resolved(decode.table(value, separator), Facts())
        with self._fetcher.open(value, task) as fetched:
            return Resolved(decode.table(decode.text(fetched.file, fetched.charset), separator), Facts())

    def _file(self, task: Task, tag: ObjectTag) -> Resolved:
        paths: list[Path] = []
        for address in _addresses(task, tag):
            with self._fetcher.open(address, task, lease=True) as fetched:
                if fetched.path is None:
                    raise DataError("has no file on disk.")
                paths.append(fetched.path)
        return Resolved(paths if tag.many else paths[0], _tag_facts(tag))

    def _image(self, task: Task, tag: ObjectTag, kind: InputKind) -> Resolved:
        pages = [self._opened(task, address, decode.image) for address in _addresses(task, tag)]
        facts = _page_facts([page.size for page in pages])
        values = [decode.pixels(page) for page in pages] if kind is InputKind.ARRAY else pages
        return Resolved(values if tag.many else values[0], facts)

    def _opened(self, task: Task, address: str, how: Callable[[IO[bytes]], T]) -> T:
        with self._fetcher.open(address, task) as fetched:
            return how(fetched.file)

    # --- ahead of need
    def _ahead(self, one: Callable[[Task], Any], tasks: Sequence[Task], cheap: bool) -> Iterator[Any]:
        if cheap or len(tasks) == 1:
            for task in tasks:
                yield _settled(one, task)
            return
        pool = self._threads()
        waiting: deque[Future[Any]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(_settled, one, task))
                if len(waiting) >= self._settings.fetch_threads * 2:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _arriving(self, one: Callable[[Task], Any], tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        pool = self._threads()
        running: dict[Future[Any], int] = {}
        done: SimpleQueue[Future[Any]] = SimpleQueue()
        try:
            for number, task in enumerate(tasks):
                future = pool.submit(_settled, one, task)
                running[future] = number
                future.add_done_callback(done.put)
                if len(running) >= self._settings.fetch_threads * 2:
                    first = done.get()
                    yield running.pop(first), first.result()
            while running:
                first = done.get()
                yield running.pop(first), first.result()
        finally:
            for future in running:
                future.cancel()

    def _threads(self) -> ThreadPoolExecutor:
        self._survive_fork()
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._settings.fetch_threads, thread_name_prefix="prelabel-fetch")
            return self._pool


class LazyFacts(Mapping[str, Facts]):
    """Facts by object tag name; what is not known yet is read when it is asked for."""

    def __init__(
        self, reader: DataReader, task: Task, config: LabelingConfig, known: Mapping[str, Facts] | None = None
    ) -> None:
        self._reader = reader
        self._task = task
        self._config = config
        self._known = dict(known or {})

    def __getitem__(self, name: str) -> Facts:
        if name not in self._known:
            tag = self._config.object(name)
            if tag is None:
                raise KeyError(name)
            self._known[name] = self._reader.facts(self._task, tag)
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._config.object(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._config.objects)

    def __len__(self) -> int:
        return len(self._config.objects)


def _settled(one: Callable[[Task], T], task: Task) -> T | PrelabelError:
    """What became of one task: an error is its result."""
    try:
        return one(task)
    except PrelabelError as error:
        return error


def _located(error: PrelabelError, task: Task, tag: ObjectTag) -> PrelabelError:
    """The error with the task and the field it is about."""
    return type(error)(f"field {tag.field!r}: {error.message}", hint=error.hint, task=task.id)


def _value(task: Task, tag: ObjectTag) -> Any:
    value = tag.value(task.data)
    if value is None:
        there = ", ".join(map(str, list(task.data)[:10])) or "nothing"
        state = "is null" if tag.field in task.data else "is missing"
        raise TaskError(
            f'{state}, and <{tag.tag} name="{tag.name}"> shows it; the task\'s data has {there}.',
            hint="Import the field, or name the right one in the labeling config.",
        )
    return value


def _address(task: Task, tag: ObjectTag) -> str:
    value = _value(task, tag)
    if not isinstance(value, str) or not value.strip():
        raise TaskError(f"must be an address, not {_kind_of(value)}.", hint="Give a URL or a path on Label Studio.")
    return value


def _addresses(task: Task, tag: ObjectTag) -> list[str]:
    """The address, or the addresses of all pages."""
    if not tag.many:
        return [_address(task, tag)]
    value = _value(task, tag)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise TaskError(f"must be a list of addresses, not {_kind_of(value)}.", hint="valueList takes a list.")
    if not all(isinstance(page, str) and page for page in value):
        raise TaskError("must be a list of addresses only.", hint="valueList takes a list of URLs.")
    return list(value)


def _is_address(tag: ObjectTag, value: Any) -> bool:
    """Whether a text tag's value is an address: ``valueType="url"``, as Label Studio reads it."""
    if not isinstance(value, str):
        return False
    said = tag.attributes.get("valueType")
    if said is not None:
        return said == "url"
    return tag.tag not in _TEXT_TAGS and len(value) < 10_000 and "\n" not in value and bool(_ADDRESS.match(value))


def _kind_of(value: Any) -> str:
    return "an empty text" if value == "" else f"{type(value).__name__} ({str(value)[:40]!r})"


def _page_facts(sizes: Sequence[tuple[int, int]]) -> Facts:
    return Facts(width=sizes[0][0], height=sizes[0][1], pages=tuple(sizes))


def _tag_facts(tag: ObjectTag) -> Facts:
    """What the tag itself says: a video's frame rate."""
    rate = tag.attributes.get("frameRate", tag.attributes.get("framerate", ""))
    try:
        return Facts(fps=float(rate)) if rate else Facts()
    except ValueError:
        return Facts()
