"""From a name, a file or a dotted path to a wrapper, and from a wrapper to its model version."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import logging
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from prelabel import lsml
from prelabel.errors import ModelLoadError, NotFoundError, PrelabelError
from prelabel.log import kept
from prelabel.model import ModelWrapper
from prelabel.options import bind
from prelabel.settings import Settings
from prelabel.user_code import first_line, place_of

logger = logging.getLogger(__name__)

ENTRY_POINTS = "prelabel.wrappers"
"""Entry-point group in which other distributions offer wrappers by name."""

BUILT_IN = {
    "classifier": "prelabel_wrappers.classifier:Classifier",
    "sklearn": "prelabel_wrappers.sklearn:SklearnModel",
    "spacy": "prelabel_wrappers.spacy:SpacyModel",
    "onnx": "prelabel_wrappers.onnx:OnnxModel",
    "torch": "prelabel_wrappers.torch:TorchModel",
    "transformers": "prelabel_wrappers.transformers:TransformersModel",
    "ultralytics": "prelabel_wrappers.ultralytics:UltralyticsModel",
    "tflite": "prelabel_wrappers.tflite:TfliteModel",
    "whisper": "prelabel_wrappers.whisper:WhisperModel",
    "ocr": "prelabel_wrappers.ocr:OcrModel",
    "vad": "prelabel_wrappers.vad:VadModel",
    "timeseries": "prelabel_wrappers.timeseries:TimeSeriesModel",
    "label_studio_ml": "prelabel_wrappers.label_studio_ml:LabelStudioMLModel",
    "wordllama": "prelabel_wrappers.embeddings:WordLlama",
    "minilm": "prelabel_wrappers.embeddings:MiniLM",
    "efficientnet": "prelabel_wrappers.embeddings:EfficientNet",
    "sentence_transformers": "prelabel_wrappers.sentence_transformers:SentenceTransformersModel",
    "openai": "prelabel_wrappers.openai.wrapper:OpenAIModel",
    "inference_protocol": "prelabel_wrappers.inference_protocol.wrapper:InferenceProtocolModel",
    "http": "prelabel_wrappers.http:HttpModel",
    "ensemble": "prelabel_wrappers.ensemble:EnsembleModel",
}
"""Wrappers that come with prelabel, by name."""

_EXISTING = "prelabel_wrappers.label_studio_ml:LabelStudioMLModel"
_CALLABLE = "prelabel_wrappers.callable:CallableModel"
_HOOKS = {"load", "unload", "fit", "save", "embed", "encode"}
_given: set[str] = set()
"""Directories of the files that were run, which stand in ``sys.path``."""


def load_wrapper(target: str, options: Mapping[str, str] | None = None) -> ModelWrapper:
    """The wrapper that ``target`` names, made but not loaded.

    Args:
        target: ``sklearn`` (a name), ``model.py:predict`` (something in a file), ``model.py`` (the one model in it),
            a directory (the one model in its ``_wsgi.py`` or ``model.py``) or ``package.module:Class``.
        options: keyword arguments for its constructor (for a function: its parameters with defaults), as text.

    Raises:
        NotFoundError: there is no such name, file, module or attribute.
        ModelLoadError: the file or the constructor failed, an option is unknown or malformed, or it is unclear which of
            several things in a file is the model.
    """
    options = dict(options or {})
    found, label = _find(target)
    wrapper = _wrap(found, label, options)
    if not wrapper.options:
        wrapper.options = options
    return wrapper


def find_model(target: str) -> type[Any]:
    """The class of a `label_studio_ml` model that a file, a directory or a dotted path names.

    Raises:
        NotFoundError, ModelLoadError: as `load_wrapper`; what is found is no such class.
    """
    found, label = _find(target)
    if not lsml.is_model(found):
        raise ModelLoadError(
            f"{label} is no model of label_studio_ml.", hint="Subclass label_studio_ml.model.LabelStudioMLBase."
        )
    model: type[Any] = found
    return model


def load(wrapper: ModelWrapper) -> None:
    """Call ``wrapper.load()``.

    Raises:
        ModelLoadError: it failed; the message says where in the user's code.
    """
    with _user_code(f"the model {name_of(wrapper)!r} could not be loaded"):
        wrapper.load()


def name_of(wrapper: ModelWrapper) -> str:
    """The model's name: its own, else its class's."""
    return wrapper.name or type(wrapper).__name__


DIGEST = "_digest_of_version"
"""Attribute in which a wrapper carries the digest of the fingerprint that its version was made of."""


def model_name(wrapper: ModelWrapper, settings: Settings) -> str:
    """The name that all versions of the model share: the setting ``model_name``, else the wrapper's."""
    return settings.model_name or name_of(wrapper)


def model_version(wrapper: ModelWrapper, settings: Settings) -> str:
    """The model run's name that every prediction carries; known before the model is loaded.

    That of its trained files where it has them, else the setting ``model_version``, else the wrapper's own ``version``,
    else the name and eight hexadecimal digits over `ModelWrapper.fingerprint`.

    Raises:
        ModelLoadError: the fingerprint could not be taken (a weights' file is missing).
    """
    if wrapper.artifact is not None:
        return str(json.loads((wrapper.artifact / "artifact.json").read_text(encoding="utf-8"))["version"])
    given = settings.model_version or wrapper.version
    if given:
        return str(given)
    with _user_code(f"the version of {name_of(wrapper)!r} could not be told"):
        digest = hashlib.sha256(wrapper.fingerprint()).hexdigest()
    vars(wrapper)[DIGEST] = digest  # weights are read once
    return f"{model_name(wrapper, settings)}-{digest[:8]}"


def digest_files(paths: Iterable[Path]) -> bytes:
    """A digest over files' names and bytes; directories are walked. Read in pieces, whatever their size.

    Raises:
        ModelLoadError: one of them does not exist.
    """
    digest = hashlib.sha256()
    for path in paths:
        if not path.exists():
            raise ModelLoadError(f"there is no file {path}.", hint="Check the model's path.")
        files = sorted(inner for inner in path.rglob("*") if inner.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(path.parent).as_posix()}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as opened:
                while piece := opened.read(1 << 20):
                    digest.update(piece)
    return digest.digest()


def names() -> list[str]:
    """Every wrapper that can be given by name."""
    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINTS))})


# --- finding
def _find(target: str) -> tuple[Any, str]:
    """The object that ``target`` names, and a short name for it."""
    target = _in_directory(target.strip())
    left, _, right = target.rpartition(":")
    if target.endswith(".py") or (not left and Path(target).is_file()):
        module = _module_from_file(Path(target))
        return _only_model(module, target), Path(target).stem
    if left.endswith(".py") or (left and "/" in left):
        module = _module_from_file(Path(left))
        return _attribute(module, right, left), Path(left).stem
    if left:
        return _attribute(_imported(left), right, left), right
    for entry in entry_points(group=ENTRY_POINTS, name=target):
        with _user_code(f"the wrapper {target!r} ({entry.value}) could not be imported"):
            return entry.load(), target
    if target in BUILT_IN:
        path, _, name = BUILT_IN[target].partition(":")
        return getattr(_imported(path), name), target
    raise NotFoundError(
        f"there is no wrapper called {target!r}.",
        hint=f"Give one of {', '.join(names())}, a file (model.py:predict) or a dotted path (package.module:Class).",
    )


def _in_directory(target: str) -> str:
    """For a directory the file in it that says what the model is; anything else as it is."""
    if target not in names() and Path(target).is_dir():
        for name in ("_wsgi.py", "model.py"):
            if (Path(target) / name).is_file():
                return str(Path(target) / name)
        raise NotFoundError(f"{target} has neither a model.py nor a _wsgi.py.", hint="Name the file: DIR/my_model.py.")
    return target


def _imported(path: str) -> ModuleType:
    lsml.provide()
    with _user_code(f"the module {path!r} could not be imported"):
        return importlib.import_module(path)


def _module_from_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own; its directory is importable, as with ``python file.py``."""
    file = path.expanduser().resolve()
    if not file.is_file():
        raise NotFoundError(f"there is no file {path}.", hint="`prelabel init DIR` writes a starting point.")
    name = f"prelabel_model_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    _first_in_path(file.parent)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ModelLoadError(f"{path} is not a Python file.", hint="Give a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    lsml.provide()
    lsml.forget_served()
    try:
        with kept(), _user_code(f"{path} could not be run", file):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _first_in_path(directory: Path) -> None:
    """Let a file import its neighbours, also where those of another directory have the same names (``model.py``)."""
    others = {each for each in sys.path if each in _given and each != str(directory)}
    for neighbour in directory.glob("*.py"):
        known = getattr(sys.modules.get(neighbour.stem), "__file__", None)
        if known is not None and str(Path(known).parent) in others:
            del sys.modules[neighbour.stem]
    sys.path[:] = [str(directory), *(each for each in sys.path if each != str(directory))]
    _given.add(str(directory))


def _attribute(module: ModuleType, name: str, where: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            there = [candidate for candidate, _ in _candidates(module)]
            raise NotFoundError(
                f"there is no {name!r} in {where}.",
                hint=f"It has {', '.join(there)}." if there else "It has no function and no ModelWrapper.",
            )
        found = getattr(found, part)
    return found


def _candidates(module: ModuleType) -> list[tuple[str, Any]]:
    """The functions and wrapper classes that a module defines itself."""
    found = []
    for name, value in vars(module).items():
        if name.startswith("_") or name in _HOOKS or getattr(value, "__module__", None) != module.__name__:
            continue
        is_wrapper = inspect.isclass(value) and issubclass(value, ModelWrapper) and not inspect.isabstract(value)
        if is_wrapper or inspect.isfunction(value):
            found.append((name, value))
    return found


def _only_model(module: ModuleType, target: str) -> Any:
    """What is the model in a file given without ``:name``: ``model``, the one wrapper class, ``predict``, ..."""
    if isinstance(getattr(module, "model", None), ModelWrapper):
        return module.model
    candidates = _candidates(module)
    classes = [(name, value) for name, value in candidates if inspect.isclass(value)]
    existing = [] if classes else lsml.model_in(module)
    if len(existing) == 1:
        return _served_as(existing[0][1], Path(target))
    classes += existing
    functions = [(name, value) for name, value in candidates if not inspect.isclass(value)]
    named = [(name, value) for name, value in functions if name == "predict"]
    likely = classes + (named or ([] if classes else functions))
    if len(likely) == 1:
        return likely[0][1]
    if not likely:
        raise ModelLoadError(
            f"{target} has no model.", hint="Define `def predict(texts: list[str])` or a subclass of ModelWrapper."
        )
    listed = ", ".join(f"{target}:{name}" for name, _ in likely)
    raise ModelLoadError(f"it is unclear which model of {target} is meant.", hint=f"Give one of {listed}.")


def _served_as(model: type[Any], file: Path) -> type[Any]:
    """The base class gets a subclass of its own, with the name of the file whose functions it calls."""
    if model.__name__ != "LabelStudioMLBase":
        return model
    stem = file.stem if file.stem not in {"model", "_wsgi"} else file.resolve().parent.name
    made: type[Any] = types.new_class(stem, (model,))
    made.__module__ = model.__module__
    return made


# --- wrapping
def _wrap(found: Any, label: str, options: dict[str, str]) -> ModelWrapper:
    if isinstance(found, ModelWrapper):
        if options:
            raise ModelLoadError(f"{label} is already made and takes no options.", hint="Name its class instead.")
        return found
    if inspect.isclass(found) and issubclass(found, ModelWrapper):
        arguments = bind(found, options, label)
        with _user_code(f"{label} could not be made"):
            return found(**arguments)
    if lsml.is_model(found):
        path, _, name = _EXISTING.partition(":")
        with _user_code(f"{label} could not be made"):
            around: ModelWrapper = getattr(_imported(path), name).of(found, label, options)
            return around
    if callable(found) and not inspect.isclass(found):
        path, _, name = _CALLABLE.partition(":")
        with _user_code(f"{label} could not be made"):
            wrapper: ModelWrapper = getattr(_imported(path), name)(found, label, options)
            return wrapper
    raise ModelLoadError(
        f"{label} is neither a function nor a ModelWrapper, but {type(found).__name__}.",
        hint="Define `def predict(texts: list[str])` or subclass prelabel.ModelWrapper.",
    )


# --- errors of users' code
_PACKAGES = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What is to be installed for a module, where it is called otherwise."""


@contextmanager
def _user_code(what: str, file: Path | None = None) -> Iterator[None]:
    """Whatever a user's code raises, as one sentence that says where; the traceback stays with the cause."""
    try:
        yield
    except PrelabelError:
        raise
    except (Exception, SystemExit) as error:
        logger.debug("%s", what, exc_info=True)
        missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        raise ModelLoadError(
            f"{what}: {place_of(error, file)}{type(error).__name__}: {first_line(error)}.",
            hint=f"Install it, for example with `pip install {_PACKAGES.get(missing, missing)}`." if missing else "",
        ) from error
