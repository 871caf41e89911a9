"""A classifier of windows over a time series, from a file: stretches of a class, or the class of the whole series.

The file is a pickle (by joblib or pickle), and loading a pickle runs whatever code is in it: serve only files you made
or trust as you trust a program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from prelabel.errors import ModelLoadError, TaskError
from prelabel.loader import digest_files
from prelabel.model import InputKind, Item, ModelWrapper
from prelabel.outputs import Choice, SeriesSegment
from prelabel_wrappers.frameworks import stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Windows = NDArray[np.float64]

CUBES = {"aeon", "sktime", "tslearn"}
"""Libraries whose classifiers take ``[windows, channels, samples]``; scikit-learn's take a row a window."""


class TimeSeriesModel(ModelWrapper):
    """A fitted classifier of scikit-learn or aeon that gets windows of a series, all of one length.

    Says ``segments``: each sample has the mean probabilities of the windows over it; neighbours of the same class are
    one `SeriesSegment`, from its first to its last time. Says ``class``: the whole series is one window.

    scikit-learn's classifiers get a row of numbers for each window (all of the first channel, then the second, ...);
    aeon's get ``[windows, channels, samples]``.

    Args:
        model: path of the ``.joblib`` or ``.pkl`` file.
        window: samples of one window. Default: what the classifier was fitted with, where it says so.
        step: samples from one window to the next; default: a quarter of the window.
        columns: the columns that are the channels, in order. Default: every column of numbers but the time column.
        labels: names for ``classes_``, in their order, where the classifier knows only numbers.
        ignore: classes that are nothing to mark (``normal``).
        min_score: a segment with a smaller mean probability is left out.
        says: ``segments`` or ``class``.
    """

    input = InputKind.ITEM

    def __init__(
        self,
        model: Path,
        *,
        window: int | None = None,
        step: int | None = None,
        columns: list[str] | None = None,
        labels: list[str] | None = None,
        ignore: list[str] | None = None,
        min_score: float = 0.5,
        says: Literal["segments", "class"] = "segments",
    ) -> None:
        self.path = Path(model)
        self.name = self.path.stem
        self.outputs = (Choice,) if says == "class" else (SeriesSegment,)
        self.labels = tuple(labels) if labels else None
        self._window, self._step = window, step
        self._columns, self._ignore = tuple(columns or ()), frozenset(ignore or ())
        self._min_score, self._whole = min_score, says == "class"
        self._told = repr((window, step, columns, labels, sorted(self._ignore), min_score, says))
        self._names: tuple[str, ...] | None = self.labels
        self._classifier: Any = None

    def load(self) -> None:
        """Read the file; learn the classes and, where it is told, the window."""
        classifier = stored(self.path, "timeseries")
        classes = getattr(classifier, "classes_", None)
        if classes is None or not hasattr(classifier, "predict_proba"):
            raise ModelLoadError(
                f"{self.path} holds {type(classifier).__name__}, which is no classifier with predict_proba.",
                hint="Store a fitted classifier of scikit-learn or aeon with joblib.dump.",
            )
        told = tuple(str(each) for each in classes)
        if self._names is not None and self._classifier is None and len(self._names) != len(told):
            raise ModelLoadError(
                f"{self.path} has {len(told)} classes, the option labels {len(self._names)}.",
                hint=f"Its classes are {', '.join(told[:20])}.",
            )
        self._names = self._names or told
        self.labels = tuple(name for name in self._names if self._whole or name not in self._ignore)
        self._cubes = type(classifier).__module__.partition(".")[0] in CUBES
        self._width = getattr(classifier, "n_features_in_", None)
        if self._window is None and not self._whole and self._width is None:
            raise ModelLoadError(
                f"{self.path} does not say how long its windows are.", hint="Say it: --opt window=128 (in samples)."
            )
        self._classifier = classifier

    def predict(self, batch: Sequence[Item]) -> Sequence[Any]:
        """A class, or segments, of each series; the windows of all series of the batch are one call."""
        times, cuts = zip(*(self._cut(item) for item in batch), strict=True) if batch else ((), ())
        counts = [len(windows) for windows, _ in cuts]
        filled = [windows for windows, _ in cuts if len(windows)]
        if not filled:
            return [[] for _ in batch]
        together: Windows = np.concatenate(filled)
        given = together if self._cubes else together.reshape(len(together), -1)
        likely = np.asarray(self._classifier.predict_proba(given), dtype=np.float64)
        parts = np.split(likely, np.cumsum(counts)[:-1])
        if self._whole:
            return [self._class(part[0]) for part in parts]
        return [
            self._segments(part, starts, moments) for part, (_, starts), moments in zip(parts, cuts, times, strict=True)
        ]

    # --- windows
    def _cut(self, item: Item) -> tuple[NDArray[np.generic], tuple[Windows, NDArray[np.int64]]]:
        """The series' times; its windows ``[windows, channels, samples]`` and the sample where each begins."""
        table: Mapping[str, NDArray[np.generic]] = item.value
        tag = item.config.primary_object(self.outputs, InputKind.TABLE)
        time = tag.attributes.get("timeColumn", "")
        names = self._columns or tuple(
            name for name, values in table.items() if name != time and np.issubdtype(values.dtype, np.number)
        )
        lacking = [name for name in names if name not in table]
        if lacking or not names:
            raise TaskError(
                f"the series has no column {', '.join(lacking) or 'of numbers'}.",
                hint=f"It has {', '.join(table) or 'none'}.",
                task=item.task.id,
            )
        series: Windows = np.stack([np.asarray(table[name], dtype=np.float64) for name in names])
        length = series.shape[1]
        moments = table[time] if time in table else np.arange(length)
        window = length if self._whole else self._window or (self._width or 0) // len(names)
        if self._width is not None and not self._cubes and window * len(names) != self._width:
            raise TaskError(
                f"has {window} samples in {len(names)} channels a window, the classifier wants {self._width} numbers.",
                hint="Check the options window and columns.",
                task=item.task.id,
            )
        if length < window:
            return moments, (np.zeros((0, len(names), window)), np.zeros(0, dtype=np.int64))
        step = self._step or max(window // 4, 1)
        starts = np.arange(0, length - window + 1, step)
        if starts[-1] != length - window:
            starts = np.append(starts, length - window)
        views = np.lib.stride_tricks.sliding_window_view(series, window, axis=1)
        return moments, (views[:, starts].transpose(1, 0, 2), starts)

    # --- answers
    def _class(self, row: NDArray[np.float64]) -> Choice:
        names = self._names or ()
        best = int(row.argmax())
        return Choice(names[best], score=float(row[best]), distribution=dict(zip(names, row.tolist(), strict=True)))

    def _segments(
        self, likely: NDArray[np.float64], starts: NDArray[np.int64], moments: NDArray[np.generic]
    ) -> list[SeriesSegment]:
        if not len(likely):
            return []
        length = len(moments)
        window = length - int(starts[-1])
        sums = np.zeros((length + 1, likely.shape[1] + 1))
        weighted = np.concatenate([likely, np.ones((len(likely), 1))], axis=1)
        np.add.at(sums, starts, weighted)
        np.subtract.at(sums, starts + window, weighted)
        curves = np.cumsum(sums, axis=0)[:length]
        means = curves[:, :-1] / curves[:, -1:]
        winner = means.argmax(axis=1)
        turns = np.flatnonzero(np.diff(winner)) + 1
        names = self._names or ()
        found = []
        for first, after in zip([0, *turns.tolist()], [*turns.tolist(), length], strict=True):
            at = int(winner[first])
            score = min(float(means[first:after, at].mean()), 1.0)
            if names[at] not in self._ignore and score >= self._min_score:
                start, end = moments[first].item(), moments[after - 1].item()
                found.append(SeriesSegment(start, None if after - first == 1 else end, names[at], score=score))
        return found

    def unload(self) -> None:
        """Forget the classifier."""
        self._classifier = None

    def fingerprint(self) -> bytes:
        """A digest of the file, and the options."""
        return digest_files([self.path]) + self._told.encode()
