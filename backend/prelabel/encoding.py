"""Data rows to embeddings: an encoder reads what is new or changed, in batches; what it made stands in the registry."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prelabel.data import DataReader
from prelabel.errors import LabelingConfigError, ModelError, ModelLoadError, PrelabelError
from prelabel.labeling import LabelingConfig, ObjectTag, parse
from prelabel.loader import load, load_wrapper, name_of
from prelabel.log import kept
from prelabel.model import InputKind, ModelWrapper
from prelabel.runs.rows import dump
from prelabel.tasks import Task
from prelabel.user_code import first_line, place_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prelabel.data.fetch import LabelStudioFiles
    from prelabel.runs.embeddings import Embeddings
    from prelabel.runs.held import DataRow
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

BATCH = 64
"""Data rows that an encoder gets at once, where it names no number."""
REMEMBERED = 10
"""Reasons of failures that are kept."""
_TAGS: Mapping[str, str] = {
    "text": "Text",
    "image": "Image",
    "audio": "Audio",
    "video": "Video",
    "html": "HyperText",
    "document": "Pdf",
}
_TAG_OF_KIND: Mapping[InputKind, str] = {
    InputKind.IMAGE: "Image",
    InputKind.ARRAY: "Image",
    InputKind.AUDIO: "Audio",
    InputKind.FILE: "Video",
    InputKind.TABLE: "TimeSeries",
}
ConfigOf = Callable[[str, int], LabelingConfig | None]
"""The labeling config of a Label Studio's project, where it is known."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What `embed_rows` did; numbers are data rows. ``reasons`` are the first failures, a sentence each.

    ``failed``: what could not be read or embedded; the next call tries it again.
    """

    encoder: str
    embedded: int = 0
    unchanged: int = 0
    failed: int = 0
    reasons: tuple[str, ...] = ()


class Encoder:
    """A wrapper, or a plain function, that is loaded and embeds.

    Args:
        target: as `prelabel.loader.load_wrapper` takes it. What a plain function returns for a batch are its
            embeddings, unless its module has an ``embed`` beside it.
        options: for its constructor.

    Raises:
        NotFoundError, ModelLoadError: there is no such wrapper, it cannot embed, or it cannot be loaded.
    """

    def __init__(self, target: str, options: Mapping[str, str] | None = None) -> None:
        with kept():
            self.wrapper = load_wrapper(target, options)
            self._embed = _embedding(self.wrapper, target)
            given = self.wrapper.version
            digest = hashlib.sha256(self.wrapper.fingerprint()).hexdigest()[:8] if not given else ""
            self.name = str(given) if given else f"{name_of(self.wrapper)}-{digest}"
            load(self.wrapper)

    @property
    def batch_size(self) -> int:
        """Most elements of one batch."""
        return self.wrapper.max_batch_size or BATCH

    def __call__(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """Embeddings ``[n, d]``.

        Raises:
            ModelError: the encoder failed, or what it returned are no rows of numbers, one for each element.
        """
        import numpy as np  # noqa: PLC0415 (NumPy is loaded by those who embed)

        try:
            said = self._embed(batch)
            rows = np.asarray(said if isinstance(said, np.ndarray) else list(said), dtype=np.float32)
        except PrelabelError:
            raise
        except Exception as error:
            logger.debug("embedding failed", exc_info=True)
            raise ModelError(
                f"{self.name} could not embed: {place_of(error)}{type(error).__name__}: {first_line(error)}."
            ) from error
        if rows.ndim != 2 or len(rows) != len(batch) or not rows.shape[1]:
            raise ModelError(
                f"{self.name} returned {rows.shape} for a batch of {len(batch)}.",
                hint="Return one row of numbers per element, [n, d].",
            )
        return rows

    def close(self) -> None:
        """Unload the wrapper."""
        self.wrapper.unload()


def _embedding(wrapper: ModelWrapper, target: str) -> Callable[[Sequence[Any]], Any]:
    from prelabel_wrappers.callable import CallableModel  # noqa: PLC0415 (wrappers import from us)

    if wrapper.can_embed:
        return wrapper.embed
    if isinstance(wrapper, CallableModel):
        return wrapper.predict
    raise ModelLoadError(
        f"{target} cannot embed: {type(wrapper).__name__} has no method `embed`.",
        hint="Give it `def embed(self, batch) -> array [n, d]`, or take wordllama, minilm (texts) or efficientnet "
        "(images).",
    )


@dataclass(slots=True)
class _Count:
    embedded: int = 0
    unchanged: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)

    def fail(self, row: DataRow, error: PrelabelError) -> None:
        self.failed += 1
        if len(self.reasons) < REMEMBERED:
            self.reasons.append(f"data row {row.global_key or row.uid}: {error.message}")


def embed_rows(
    registry: Embeddings,
    run: int,
    encoder: Encoder,
    settings: Settings,
    *,
    config_of: ConfigOf,
    files: Callable[[], LabelStudioFiles | None] = lambda: None,
    only: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Embedded:
    """Embed a run's data rows, those that have no embedding by this encoder or whose content changed.

    A page of data rows and the batches of it are held at once. What is written stays when a later batch fails.

    Args:
        registry: where data rows and embeddings are.
        run: the run's number.
        encoder: loaded.
        settings: for reading what data rows point at.
        config_of: the labeling config of a project, which says where a task keeps what is shown.
        files: Label Studio's client, for uploads.
        only: these data rows instead of the run's.
        progress: told how many are done, and of how many.
    """
    total = len(only) if only is not None else registry.count_run_rows(run)
    count = _Count()
    reading = _Reading(encoder.wrapper.input, config_of)
    with closing(DataReader(settings, files)) as reader:
        for page in registry.rows_to_embed(run, encoder.name, only=only):
            ready: list[tuple[DataRow, _Shown, str]] = []
            for row, known in page:
                try:
                    shown = reading.of(row)
                except PrelabelError as error:
                    count.fail(row, error)
                    continue
                content = shown.content(encoder.wrapper.input)
                if content == known:
                    count.unchanged += 1
                else:
                    ready.append((row, shown, content))
            for values in _batches(reader, encoder, ready, count):
                _store(registry, encoder, values, count)
            progress(count.embedded + count.unchanged + count.failed, total)
    return Embedded(encoder.name, count.embedded, count.unchanged, count.failed, tuple(count.reasons))


Ready = tuple["DataRow", str, Any]
"""A data row, its content's hash, and what the encoder gets."""


def _batches(
    reader: DataReader, encoder: Encoder, rows: Sequence[tuple[DataRow, _Shown, str]], count: _Count
) -> Iterator[list[Ready]]:
    """What the encoder gets, read ahead by threads; data rows of one labeling config at a time."""
    groups: dict[tuple[int, str], list[tuple[DataRow, _Shown, str]]] = {}
    for row, shown, content in rows:
        groups.setdefault((id(shown.config), shown.tag.name), []).append((row, shown, content))
    for group in groups.values():
        first = group[0][1]
        batch: list[Ready] = []
        tasks = [shown.task for _, shown, _ in group]
        read = reader.inputs(tasks, first.config, first.tag, encoder.wrapper.input)
        for (row, _, content), found in zip(group, read, strict=True):
            if isinstance(found, PrelabelError):
                count.fail(row, found)
                continue
            batch.append((row, content, found.value))
            if len(batch) == encoder.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch


def _store(registry: Embeddings, encoder: Encoder, batch: list[Ready], count: _Count) -> None:
    """Embed a batch and write it; one that fails is halved until the culprit stands alone."""
    try:
        vectors = encoder([value for _, _, value in batch])
    except ModelError as error:
        if len(batch) == 1:
            count.fail(batch[0][0], error)
            return
        half = len(batch) // 2
        _store(registry, encoder, batch[:half], count)
        _store(registry, encoder, batch[half:], count)
        return
    registry.put_embeddings(encoder.name, {row.id: content for row, content, _ in batch}, vectors)
    count.embedded += len(batch)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A data row as a task, and the object tag that shows what is embedded."""

    task: Task
    config: LabelingConfig
    tag: ObjectTag

    def content(self, kind: InputKind) -> str:
        """Hash of what is embedded, as it stands in the task: what an address points at is not looked at."""
        whole = kind in {InputKind.ITEM, InputKind.TASK}
        said = dict(self.task.data) if whole else [self.tag.tag, self.tag.value(self.task.data)]
        return hashlib.sha256(dump(said).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Reading:
    """Where data rows keep what is embedded."""

    def __init__(self, kind: InputKind, config_of: ConfigOf) -> None:
        self._kind = kind
        self._config_of = config_of
        self._known: dict[tuple[str, int], tuple[LabelingConfig, ObjectTag] | None] = {}
        self._plain: dict[str, tuple[LabelingConfig, ObjectTag]] = {}

    def of(self, row: DataRow) -> _Shown:
        if isinstance(row.row_data, Mapping) and row.place is not None:
            key = (row.place.instance, row.place.project)
            if key not in self._known:
                config = self._config_of(*key)
                self._known[key] = None if config is None else (config, config.primary_object(kind=self._kind))
            found = self._known[key]
            if found is None:
                raise LabelingConfigError(
                    f"the labeling config of project {row.place.project} is not known.", hint="Name the project."
                )
            return _Shown(Task(row.place.task, row.row_data, row.place.project), *found)
        name = _TAGS.get(row.media_type, _TAG_OF_KIND.get(self._kind, "Text"))
        if name not in self._plain:
            config = parse(f'<View><{name} name="shown" value="$shown"/></View>')
            self._plain[name] = (config, config.primary_object(kind=self._kind))
        return _Shown(Task(None, {"shown": row.row_data}), *self._plain[name])


__all__ = ["Embedded", "Encoder", "embed_rows"]
