"""A model written for Label Studio's own backend package: a subclass of ``label_studio_ml.model.LabelStudioMLBase``."""

from __future__ import annotations

import inspect
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from prelabel.errors import ModelError, ModelLoadError, OverloadedError, PrelabelError
from prelabel.labeling import parse
from prelabel.loader import digest_files, find_model, model_name, model_version
from prelabel.lsml.announced import Announced, own_name
from prelabel.lsml.answers import by_task
from prelabel.lsml.environment import tell
from prelabel.lsml.instances import KEPT, Instances, arguments_of
from prelabel.lsml.older import fitted, is_older
from prelabel.lsml.packaged import keep_in
from prelabel.lsml.services import Services
from prelabel.lsml.state import MemoryState, RegistryState, State
from prelabel.lsml.versions import UNTOLD, own_version
from prelabel.model import InputKind, Item, ModelWrapper, Silence, Surroundings
from prelabel.outputs import Regions
from prelabel.tasks import Task
from prelabel.user_code import first_line, place_of

if TYPE_CHECKING:
    from prelabel.examples import Example

logger = logging.getLogger(__name__)

PARAMS_S = 5.0
"""How long a project's extra params are believed."""
TRAIN_EVENTS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "START_TRAINING")
"""What ``fit`` is called for where the class says nothing."""
MEANINGLESS = {
    "PORT": "--port",
    "WORKERS": "nothing: one process owns the model",
    "THREADS": "--threads",
    "WEB_CONCURRENCY": "nothing: one process owns the model",
}
"""Variables of the package's container images, and what is used here instead."""


class LabelStudioMLModel(ModelWrapper):
    """Makes one instance for each project and labeling config, and asks it for many tasks at once.

    Regions come back as the model made them, each checked against the labeling config. What the model keeps for a
    project (``get``, ``set``) stands in the registry; without one, in ``MODEL_DIR`` or in memory.

    Args:
        model: file (``model.py``, ``_wsgi.py``), directory of one, or dotted path.
        instances: how many instances are kept at most.
    """

    input = InputKind.BARE
    outputs = (Regions,)
    interactive = True

    def __init__(self, model: str, *, instances: int = KEPT) -> None:
        self._take(find_model(model), {}, instances)

    @classmethod
    def of(cls, model: type[Any], label: str, options: Mapping[str, str]) -> LabelStudioMLModel:
        """Around a class that was found already; ``options`` go to its constructor, as its annotations say."""
        made = cls.__new__(cls)
        made._take(model, arguments_of(model, options, label), KEPT)
        made.options = dict(options)
        return made

    def _take(self, model: type[Any], arguments: dict[str, Any], instances: int) -> None:
        self.model = model
        self.name = model.__name__
        self.version = own_version(model)
        self._arguments = arguments
        self._lock = threading.RLock()
        self._instances = Instances(model, arguments, instances, self._begins)
        self._params: dict[str, tuple[float, str]] = {}
        self._around: Surroundings | None = None
        self._announced: Announced | None = None
        self.predicted_as: str | None = None
        """The version that made the last predictions; None: the version that was announced first."""
        self._fits = {"lsml_fits": 0, "lsml_fits_failed": 0}

    # -- beginning and end
    def enter(self, surroundings: Surroundings) -> None:
        """Give the model's class the registry, the reader of task data, and Label Studio's address."""
        self._around = surroundings
        settings = surroundings.settings
        key = settings.label_studio_api_key
        tell(settings)
        state = self._state(surroundings)
        keep_in(state)
        self.model._prelabel = Services(
            state=state,
            local_path=self._local_path,
            url=settings.label_studio_url or os.environ.get("LABEL_STUDIO_HOST", ""),
            key=key.get_secret_value() if key is not None else "",
        )
        self._announce(surroundings, state)

    def _announce(self, around: Surroundings, state: State) -> None:
        """Go by the version that ``fit`` set last, unless the settings say what the version is."""
        settings = around.settings
        self.version = own_version(self.model)
        self._announced = None
        if settings.model_version is None:
            first, name = model_version(self, settings), model_name(self, settings)
            self._announced = Announced(self.model, first, state, around.ledger, name, shadow=settings.shadow)
            self.version = self._announced.version

    def load(self) -> None:
        """Heed the variables of the package's images; instances are made when their project is first asked about."""
        for name, instead in MEANINGLESS.items():
            if os.environ.get(name):
                logger.info("the variable %s means nothing here; what it said is said by %s", name, instead)
        level = os.environ.get("LOG_LEVEL", "").upper()
        if isinstance(logging.getLevelName(level), int):
            logging.getLogger(self.model.__module__).setLevel(level)

    def unload(self) -> None:
        """Forget all instances."""
        with self._lock:
            self._instances.clear()

    def fingerprint(self) -> bytes:
        """The class's name, the bytes of the file that defines it, and the options of its constructor."""
        try:
            file = inspect.getsourcefile(self.model)
        except TypeError:
            file = None
        code = digest_files([Path(file)]) if file else b""
        return b"\0".join([self.model.__qualname__.encode(), code, repr(sorted(self._arguments.items())).encode()])

    # -- predicting
    def predict(self, batch: Sequence[Item]) -> list[Regions | list[Any]]:
        """One call of the model for all tasks of one project, config and context."""
        groups: dict[tuple[object, ...], list[int]] = {}
        for index, item in enumerate(batch):
            click = None if item.context is None else id(item.context)
            groups.setdefault((_project(item.task), item.config.hash, click), []).append(index)
        results: list[Regions | list[Any]] = [[] for _ in batch]
        with self._lock:
            self._settle()
            self.predicted_as = self.announced
            for indexes in groups.values():
                first = batch[indexes[0]]
                instance = self.instance(_project(first.task), first.config.xml, first.config.hash)
                context = dict(first.context) if first.context is not None else None

                def ask(tasks: Sequence[Mapping[str, Any]], model: Any = instance, context: Any = context) -> Any:
                    return model.predict(list(tasks), context=context)

                said = by_task(ask, [_json(batch[index].task) for index in indexes], self.name)
                for index, regions in zip(indexes, said, strict=True):
                    results[index] = regions if regions is not None else Silence()
        return results

    def instance(self, project: str, label_config: str, config_hash: str) -> Any:
        """The model's instance for a project and labeling config, made now where there is none.

        Raises:
            ModelError: its constructor or its ``setup`` failed.
        """
        with self._lock:
            found = self._instances.get((project, config_hash), label_config)
            self._refresh(found, project)
            return found

    def _begins(self, made: Any, project: str) -> None:
        if self._announced is not None:
            self._announced.begins(made, project)
        self._tell_version(made)

    def _tell_version(self, made: Any) -> None:
        """Say where the model's own name for its version and the version on its predictions differ."""
        own = own_name(made)
        if self._around is None or own == UNTOLD:
            return
        shown = model_version(self, self._around.settings)
        if not shown.endswith(own):
            logger.info("%s calls itself %s; its predictions carry %s (--model-version sets it)", self.name, own, shown)

    # -- training
    @property
    def learns_from(self) -> frozenset[str]:
        """Names of the events that the model's ``fit`` is called for: its class's ``TRAIN_EVENTS``."""
        return frozenset(getattr(self.model, "TRAIN_EVENTS", TRAIN_EVENTS))

    def counters(self) -> Mapping[str, tuple[str, float]]:
        """Calls of ``fit``."""
        told = {
            "lsml_fits": "Calls of the model's fit.",
            "lsml_fits_failed": "Calls of the model's fit that failed.",
        }
        return {name: (told[name], float(count)) for name, count in self._fits.items()}

    def learn(self, event: str, data: Mapping[str, Any]) -> Any:
        """Call the model's ``fit`` for an event of Label Studio (a webhook's action and its body without that).

        No prediction is made meanwhile. May be called from any thread.

        Returns:
            What ``fit`` returned.

        Raises:
            ModelError: the event names no project, or ``fit`` failed.
        """
        project = data.get("project")
        config = project.get("label_config") if isinstance(project, Mapping) else None
        if not isinstance(project, Mapping) or not isinstance(config, str):
            raise ModelError("the event names no project with a labeling config.", hint="Send Label Studio's webhook.")
        with self._lock:
            self._fits["lsml_fits"] += 1
            try:
                return self._fit(str(project.get("id", "")), config, event, data)
            except PrelabelError:
                self._fits["lsml_fits_failed"] += 1
                raise
            except (Exception, SystemExit) as failure:
                self._fits["lsml_fits_failed"] += 1
                logger.exception("%s.fit failed", self.name)
                raise ModelError(
                    f"{self.name}.fit failed: {place_of(failure)}{type(failure).__name__}: {first_line(failure)}.",
                    hint="The log has the traceback.",
                ) from failure

    def _fit(self, project: str, config: str, event: str, data: Mapping[str, Any]) -> Any:
        key = (project, parse(config).hash)
        instance = self.instance(project, config, key[1])
        if is_older(self.model):
            said = fitted(instance, event, data)
            self._instances.forget(key)  # its constructor reads what was learnt
        else:
            said = instance.fit(event, dict(data))
        if self._announced is not None:
            self._announced.learnt(instance, project)
        return said

    # -- the version
    @property
    def announced(self) -> str | None:
        """The version of what is predicted from now on; None: the one that the settings give."""
        return self._announced.version if self._announced is not None else None

    def settle(self) -> None:
        """Go by the version that ``fit`` has set; before that, the next prediction does it. From any thread.

        Raises:
            OverloadedError: the registry cannot be used.
        """
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        """Raises OverloadedError where the registry cannot be used: nothing is predicted under the wrong version."""
        if self._announced is not None:
            try:
                self._announced.settle()
            except SQLAlchemyError as error:
                raise OverloadedError(
                    f"the version that {self.name}.fit has set cannot be written into the registry."
                ) from error
            self.version = self._announced.version

    def follow(self) -> bool:
        """Go by the version that ``fit`` has set in another process, with new instances; whether there was one."""
        announced = self._announced
        if announced is None or announced.kept() == announced.version:
            return False
        with self._lock:
            if not announced.follow():
                return False
            self._instances.clear()
            self.version = announced.version
            return True

    def to_predict_again(self, project: str) -> bool:
        """Whether ``fit`` has set a version in a project and no predictions were asked for since."""
        return self._announced is not None and self._announced.again(project)

    def predicted_again(self, project: str) -> None:
        """They were asked for."""
        if self._announced is not None:
            self._announced.asked_again(project)

    @property
    def can_fit(self) -> bool:
        """No: it learns from events."""
        return False

    def fit(self, examples: Iterable[Example]) -> str | None:
        """Refuses: such a model learns from Label Studio's events, see `learn`.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"{self.name} learns from Label Studio's events, not from a list of examples.",
            hint="`prelabel train` and Start Training tell it; annotations reach it by themselves.",
        )

    # -- what is around
    def _state(self, around: Surroundings) -> State:
        if around.ledger is not None:
            return RegistryState(around.ledger, model_name(self, around.settings))
        directory = os.environ.get("MODEL_DIR")
        return MemoryState(Path(directory) / f"{self.name}.state.json" if directory else None)

    def _local_path(self, address: str, task: int | None) -> Path:
        if self._around is None:
            raise ModelLoadError("task data cannot be read yet.", hint="Read it in predict.")
        return self._around.reader.path(address, Task(id=task, data={}))

    def _refresh(self, instance: Any, project: str) -> None:
        """Tell the instance when Label Studio's form for the backend says other *extra params*."""
        now = time.monotonic()
        until, known = self._params.get(project, (0.0, ""))
        if now < until or self._around is None or self._around.ledger is None or not project.isdecimal():
            return
        settings = self._around.settings
        connection = self._around.ledger.connection(
            int(project), settings.label_studio_url, model=model_name(self, settings)
        )
        said = json.dumps(dict(connection.extra_params)) if connection is not None else "{}"
        self._params[project] = (now + PARAMS_S, said)
        if said != known and (known or said != "{}"):
            instance.set_extra_params(said)


def _project(task: Task) -> str:
    return "" if task.project is None else str(task.project)


def _json(task: Task) -> dict[str, Any]:
    """The task as Label Studio sent it; of bulk work what is known of it. A copy, which the model may change."""
    known = {
        "id": task.id,
        "data": dict(task.data),
        "meta": dict(task.meta),
        "project": task.project,
        "annotations": list(task.annotations),
        "predictions": list(task.predictions),
    }
    return {**task.raw, **known}
