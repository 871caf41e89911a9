"""`label_studio_ml.model`: the base class of models, and the decorators for models that are two functions."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import sys
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from label_studio_sdk import LabelStudio
from label_studio_sdk._extensions.label_studio_tools.core.label_config import parse_config
from label_studio_sdk._extensions.label_studio_tools.core.utils.io import get_local_path
from label_studio_sdk.label_interface.interface import LabelInterface
from label_studio_sdk.label_interface.objects import PredictionValue

from prelabel.lsml import older
from prelabel.lsml.services import Services, from_environment
from prelabel.lsml.surface.response import ModelResponse
from prelabel.lsml.surface.utils import is_preload_needed

__all__ = [
    "LabelInterface",
    "LabelStudio",
    "LabelStudioMLBase",
    "ModelResponse",
    "ModelVersion",
    "PredictionValue",
    "get_all_classes_inherited_LabelStudioMLBase",
    "get_local_path",
    "parse_config",
    "predict_fn",
    "update_fn",
]

Function = Callable[..., Any]
_parsed: Function = parse_config
_fetched: Function = get_local_path
_predict_fn: Function | None = None
_update_fn: Function | None = None


def predict_fn(function: Function) -> Function:
    """Make a function the model: ``function(tasks, context, helper=model)``."""
    global _predict_fn  # noqa: PLW0603 (a decorator's only place to put it, and where the loader looks)
    _predict_fn = function
    return function


def update_fn(function: Function) -> Function:
    """Make a function the training: ``function(event, data, helper=model)``."""
    global _update_fn  # noqa: PLW0603
    _update_fn = function
    return function


class ModelVersion(str):
    """A version of numbers (``1.2.3``) with the parts and steps of the package `semver`; and still a text."""

    __slots__ = ()
    FORM: ClassVar = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:[-+].*)?")

    @property
    def _numbers(self) -> tuple[int, int, int]:
        found = self.FORM.fullmatch(self)
        return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)

    @property
    def major(self) -> int:
        return self._numbers[0]

    @property
    def minor(self) -> int:
        return self._numbers[1]

    @property
    def patch(self) -> int:
        return self._numbers[2]

    def bump_major(self) -> ModelVersion:
        """``2.0.0`` after ``1.2.3``."""
        return ModelVersion(f"{self.major + 1}.0.0")

    def bump_minor(self) -> ModelVersion:
        """``1.3.0`` after ``1.2.3``."""
        return ModelVersion(f"{self.major}.{self.minor + 1}.0")

    def bump_patch(self) -> ModelVersion:
        """``1.2.4`` after ``1.2.3``."""
        return ModelVersion(f"{self.major}.{self.minor}.{self.patch + 1}")


class LabelStudioMLBase(ABC):  # noqa: B024 (the package's: subclasses override what they need)
    """A model for one project and labeling config. Override ``setup``, ``predict`` and ``fit``.

    One instance is made for each project and config, and called from one thread at a time.
    """

    INITIAL_MODEL_VERSION: ClassVar[str] = "0.0.1"
    TRAIN_EVENTS: ClassVar[tuple[str, ...]] = (
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATION_DELETED",
        "START_TRAINING",
    )
    _prelabel: ClassVar[Services | None] = None

    def __init__(self, project_id: str | None = None, label_config: str | None = None) -> None:
        self.project_id = project_id or ""
        self.label_interface: LabelInterface
        self._label_config: str | None = None
        self._parsed_label_config: dict[str, Any] | None = None
        self.hostname = self._services.url  # this and the next two are of the form before 2
        self.access_token = self.get_label_studio_access_token() or ""
        self.train_output: dict[str, Any] = json.loads(self.get(older.KEY) or "{}")
        if label_config is not None:
            self.use_label_config(label_config)
        if not self.model_version:
            self.set("model_version", self.INITIAL_MODEL_VERSION)
        self.setup()

    def setup(self) -> None:  # noqa: B027
        """Called once, at the end of the constructor."""

    def predict(
        self, tasks: list[dict[str, Any]], context: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Any] | ModelResponse | None:
        """One prediction per task; calls the function under `predict_fn` where there is one."""
        return _predict_fn(tasks, context, helper=self, **kwargs) if _predict_fn is not None else None

    def fit(self, event: str, data: Mapping[str, Any], **additional_params: Any) -> Any:
        """Learn from an event of Label Studio; calls the function under `update_fn` where there is one."""
        return _update_fn(event, data, helper=self, **additional_params) if _update_fn is not None else None

    def process_event(
        self, event: str, data: Mapping[str, Any], job_id: str, additional_params: Mapping[str, Any]
    ) -> Any:
        """Call `fit` if the event is one to learn from."""
        if event not in self.TRAIN_EVENTS:
            return None
        return self.fit(event=event, data=data, job_id=job_id, **additional_params)

    # -- the labeling config
    def use_label_config(self, label_config: str) -> None:
        """Take another labeling config."""
        self.label_interface = LabelInterface(config=label_config)
        self._label_config = label_config
        self._parsed_label_config = _parsed(label_config)
        self.set("label_config", label_config)
        self.set("parsed_label_config", json.dumps(self._parsed_label_config))

    @property
    def label_config(self) -> str | None:
        """The labeling config's XML."""
        return self._label_config or self.get("label_config")

    @property
    def parsed_label_config(self) -> dict[str, Any]:
        """What label-studio-sdk knows of each control tag, by its name."""
        if self._parsed_label_config is not None:
            return self._parsed_label_config
        found: dict[str, Any] = json.loads(self.get("parsed_label_config") or "{}")
        return found

    def get_first_tag_occurence(
        self,
        control_type: str | tuple[str, ...],
        object_type: str | tuple[str, ...],
        name_filter: Callable[[str], bool] | None = None,
        to_name_filter: Callable[[str], bool] | None = None,
    ) -> tuple[str, str, str]:
        """``(from_name, to_name, data field)`` of the first control of that kind on an object of that kind.

        Raises:
            ValueError: there is none.
        """
        found: tuple[str, str, str] = self.label_interface.get_first_tag_occurence(
            control_type=control_type,
            object_type=object_type,
            name_filter=name_filter,
            to_name_filter=to_name_filter,
        )
        return found

    def build_label_map(self, tag_name: str, names: Sequence[str]) -> dict[str, str]:
        """The config's label for each of a model's ``names`` that it has a place for.

        A label takes the names in its ``predicted_values``; where none of these is the model's, the name that is equal
        to it; else the one that is equal without case.
        """
        interface: Any = self.label_interface
        labels = interface.get_control(tag_name).labels_attrs or {}
        lower = {str(name).lower() for name in names}
        found: dict[str, str] = {}
        for label, tag in labels.items():
            said = [value.strip() for value in (tag.attr.get("predicted_values") or "").split(",")]
            meant = [value for value in said if value and value in names]
            if not meant and label in names:
                meant = [label]
            elif not meant and label.lower() in lower:
                meant = [label.lower()]
            found |= dict.fromkeys(meant, label)
        return found

    # -- what is kept for the project
    @property
    def _services(self) -> Services:
        if type(self)._prelabel is None:
            type(self)._prelabel = from_environment()
        services = type(self)._prelabel
        assert services is not None  # noqa: S101 (set above)
        return services

    def get(self, key: str) -> str | None:
        """What was kept under ``key`` for this project; None where nothing was."""
        return self._services.state.get(self.project_id, key)

    def set(self, key: str, value: str) -> None:
        """Keep a text for this project.

        Raises:
            ValueError: it is no text.
        """
        if not isinstance(value, str):
            raise ValueError(f"what is kept under {key!r} must be a text, not {type(value).__name__}")  # noqa: TRY004
        self._services.state.set(self.project_id, key, value)

    def has(self, key: str) -> bool:
        """Whether something is kept under ``key``."""
        return self.get(key) is not None

    def set_extra_params(self, extra_params: str | Mapping[str, Any]) -> None:
        """Keep what Label Studio's form for the backend says under *extra params*."""
        self.set("extra_params", extra_params if isinstance(extra_params, str) else json.dumps(dict(extra_params)))

    @property
    def extra_params(self) -> Any:
        """The backend's *extra params* in Label Studio; {} where there are none."""
        said = self.get("extra_params")
        return json.loads(said) if said else {}

    @property
    def model_version(self) -> ModelVersion | str | None:
        """The version kept for this project."""
        said = self.get("model_version")
        return ModelVersion(said) if said and ModelVersion.FORM.fullmatch(said) else said

    def bump_model_version(self) -> ModelVersion | str:
        """Raise the version: the middle one of three numbers, else the number at the end."""
        said = self.model_version or self.INITIAL_MODEL_VERSION
        if isinstance(said, ModelVersion):
            raised: ModelVersion | str = said.bump_minor()
        else:
            head, digits = re.fullmatch(r"(.*?)(\d*)", said, flags=re.DOTALL).groups()  # type: ignore[union-attr]  # always
            raised = f"{head}{int(digits) + 1}" if digits else f"{said}-2"
        self.set("model_version", str(raised))
        return raised

    # -- files
    def get_label_studio_access_token(self) -> str | None:
        """The key for Label Studio's API."""
        return (
            self._services.key
            or os.environ.get("LABEL_STUDIO_API_KEY")
            or os.environ.get("LABEL_STUDIO_ACCESS_TOKEN")
            or None
        )

    def get_local_path(
        self,
        url: str,
        project_dir: str | None = None,
        ls_host: str | None = None,
        ls_access_token: str | None = None,
        task_id: int | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> str:
        """A local copy of what a task points at.

        prelabel fetches it (its cache, its guard, its token for Label Studio), unless host, token or directories are
        given: then label-studio-sdk does.
        """
        fetch = self._services.local_path
        if fetch is not None and not (project_dir or ls_host or ls_access_token or args or kwargs):
            return str(fetch(url, task_id))
        host, token = ls_host or self._services.url or None, ls_access_token or self.get_label_studio_access_token()
        more = {"project_dir": project_dir, "hostname": host, "access_token": token, "task_id": task_id, **kwargs}
        return str(_fetched(url, *args, **more))

    def preload_task_data(self, task: dict[str, Any], value: Any = None, read_file: bool = True) -> Any:
        """``value`` with every text that stands for a file replaced by the file's content, or by its path.

        Dicts are changed in place.
        """
        if isinstance(value, dict):
            for key, one in value.items():
                value[key] = self.preload_task_data(task, one, read_file)
            return value
        if isinstance(value, list):
            return [self.preload_task_data(task, one, read_file) for one in value]
        if not isinstance(value, str) or not is_preload_needed(value):
            return value
        path = self.get_local_path(value, task_id=task.get("id"))
        if not read_file:
            return path
        with open(path, encoding="utf-8") as file:
            return file.read()


def get_all_classes_inherited_LabelStudioMLBase(script_file: str | os.PathLike[str]) -> list[str]:  # noqa: N802 (the package's)
    """Names of the models in a Python file, which is imported."""
    file = Path(script_file).resolve()
    sys.path.append(str(file.parent))
    try:
        module = importlib.import_module(file.stem)
    finally:
        sys.path.pop()
    return [
        name
        for name, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, LabelStudioMLBase) and found is not LabelStudioMLBase
    ]
