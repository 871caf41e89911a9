"""What Label Studio would get from a model, and what it would refuse, without a Label Studio: `prelabel check`.

The tasks take the server's own way: reader, scheduler, model, outputs, regions. What comes out is judged by
label-studio-sdk's validator, which is the one Label Studio's bulk import runs.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

from prelabel.data import DataReader, LabelStudioFiles
from prelabel.errors import ModelLoadError, PrelabelError, TaskError
from prelabel.labeling import Fit, LabelingConfig, parse
from prelabel.labelstudio import LabelStudio
from prelabel.loader import load_wrapper
from prelabel.lsml.environment import tell
from prelabel.model import InputKind, ModelWrapper
from prelabel.predictions import Prediction
from prelabel.predictor.local import LocalPredictor
from prelabel.settings import Settings
from prelabel.tasks import Task


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One task's outcome: a prediction or an error, and why Label Studio would refuse the prediction (if it would)."""

    task: Task
    prediction: Prediction | None = None
    error: PrelabelError | None = None
    refusals: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether Label Studio would show the whole of what the model said."""
        return self.prediction is not None and not self.refusals and not self.prediction.dropped


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found.

    Attributes:
        model_version: what predictions would carry.
        input: the type in which the model gets its items.
        reads: name of the object tag that the model reads, or "" where the config has none for it.
        fit: what of the model's labels and outputs the config takes.
        tasks: one report per task, in order.
        load_s: seconds that loading the model took.
        predict_s: seconds for all tasks.
    """

    model_version: str
    input: InputKind
    reads: str
    fit: Fit
    declares: bool
    """Whether the model says anything of what it makes (labels, outputs); if not, only its predictions show the fit."""
    tasks: tuple[TaskReport, ...]
    load_s: float
    predict_s: float

    @property
    def ok(self) -> bool:
        """Whether the config fits and every task has a prediction that Label Studio takes whole."""
        return self.fit.ok and not self.fit.dropped and all(report.ok for report in self.tasks)

    @property
    def usable(self) -> bool:
        """Whether Label Studio would connect the model, and take a prediction for every task (dropping parts)."""
        return self.fit.ok and all(report.prediction is not None and not report.refusals for report in self.tasks)

    def import_json(self) -> list[dict[str, Any]]:
        """Tasks with their predictions, as Label Studio imports them."""
        return [
            {"data": dict(report.task.data), "predictions": [report.prediction.as_json()]}
            for report in self.tasks
            if report.prediction is not None and not report.refusals
        ]


def check(
    target: str | ModelWrapper,
    label_config: str,
    tasks: Sequence[Task],
    settings: Settings,
    *,
    options: Mapping[str, str] | None = None,
    label_studio: Callable[[], LabelStudioFiles | None] | None = None,
) -> CheckReport:
    """Load a model, predict tasks, and judge the predictions. Talks to nobody unless a task's data is elsewhere.

    Args:
        target: as for `prelabel.loader.load_wrapper`, or a wrapper.
        label_config: the labeling config's XML.
        tasks: at least one makes sense; see `read_tasks`.
        settings: score policy, label map, data limits.
        options: the model's options.
        label_studio: for tasks whose data is in Label Studio. Default: the one the settings name, if they name one.

    Raises:
        ModelLoadError, NotFoundError: the model cannot be found, made or loaded.
        LabelingConfigError: the config cannot be parsed.
    """
    config = parse(label_config)
    tell(settings)
    wrapper = load_wrapper(target, options) if isinstance(target, str) else target
    reader = DataReader(settings, label_studio or _named_by(settings))
    predictor = LocalPredictor(wrapper, reader, settings)
    try:
        started = time.monotonic()
        predictor.wait_ready()
        if predictor.load_error is not None:
            raise predictor.load_error
        if not predictor.ready:
            raise ModelLoadError("the model could not be loaded.", hint="The log says why.")
        loaded = time.monotonic()
        fitting = predictor.fit_report(config)
        reports = _predicted(predictor, config, tasks) if fitting.ok else ()
        return CheckReport(
            model_version=predictor.model_version,
            input=wrapper.input,
            reads=_primary(config, wrapper),
            fit=fitting,
            declares=bool(wrapper.labels or wrapper.outputs),
            tasks=reports,
            load_s=loaded - started,
            predict_s=time.monotonic() - loaded,
        )
    finally:
        predictor.close()
        reader.close()


def _named_by(settings: Settings) -> Callable[[], LabelStudioFiles | None]:
    """The Label Studio whose address and key are set; connected to when first asked for."""
    url, key = settings.label_studio_url, settings.label_studio_api_key
    if url is None or key is None:
        return lambda: None
    return cache(lambda: LabelStudio(url, key.get_secret_value()))


def _primary(config: LabelingConfig, wrapper: ModelWrapper) -> str:
    try:
        return config.primary_object(wrapper.outputs, wrapper.input).name
    except PrelabelError:
        return ""


def _predicted(predictor: LocalPredictor, config: LabelingConfig, tasks: Sequence[Task]) -> tuple[TaskReport, ...]:
    from label_studio_sdk.label_interface.interface import LabelInterface  # noqa: PLC0415 (half a second, only here)

    interface: Any = LabelInterface(config.xml)
    reports = []
    for task, outcome in zip(tasks, predictor.predict(tasks, config), strict=True):
        said = outcome.prediction
        refusals: tuple[str, ...] = ()
        if said is not None and said.result:
            refusals = tuple(map(str, interface.validate_prediction(said.as_json(), return_errors=True)))
        reports.append(TaskReport(task, said, outcome.error, refusals))
    return tuple(reports)


def read_tasks(path: Path, limit: int | None = None) -> list[Task]:
    """Tasks from a file that Label Studio could import: JSON (a list), JSON lines, CSV, TSV, or text (a task a line).

    Args:
        path: the file.
        limit: read no more than the first so many.

    Raises:
        TaskError: there is no such file, it is malformed, or an entry is no task.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            raw = _entries(file, path.suffix.lower())
    except OSError as error:
        raise TaskError(f"{path} cannot be read: {error.strerror}.", hint="Give a file of tasks.") from error
    except (ValueError, csv.Error) as error:
        raise TaskError(f"{path} is malformed: {error}.", hint="Give a JSON list of tasks.") from error
    return [Task.from_json(entry) for entry in islice(raw, limit)]


def _entries(file: IO[str], suffix: str) -> list[Any]:
    if suffix in {".csv", ".tsv"}:
        return list(csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ","))
    if suffix == ".txt":
        return [{"data": {"text": line.rstrip("\r\n")}} for line in file if line.strip()]
    if suffix in {".jsonl", ".ndjson"}:
        return [json.loads(line) for line in file if line.strip()]
    content = json.load(file)
    return content if isinstance(content, list) else [content]
