"""From what a person types to a wrapper, and from a wrapper to its version."""

from __future__ import annotations

import logging
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelabel import loader
from prelabel.errors import ModelError, ModelLoadError, NotFoundError
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice
from prelabel.settings import load_settings

Writing = Callable[..., str]

FUNCTION = "def predict(texts: list[str]):\n    return texts\n"
ECHO = """
from json import loads
from prelabel import InputKind, ModelWrapper

class Echo(ModelWrapper):
    input = InputKind.TEXT

    def predict(self, batch):
        return batch

"""
CLASS = """
from pathlib import Path
from typing import Literal
from prelabel import InputKind, ModelWrapper

class Mine(ModelWrapper):
    name = "mine"
    input = InputKind.TEXT

    def __init__(self, size: int, folder: Path = Path("."), names: list[str] | None = None, fast: bool = False,
                 mode: Literal["a", "b"] = "a", pair: tuple[int, int] = (1, 2), extra: dict | None = None):
        self.given = (size, folder, names, fast, mode, pair, extra)

    def predict(self, batch):
        return [None for _ in batch]
"""


@pytest.fixture
def write(tmp_path: Path) -> Writing:
    def write(code: str, name: str = "model.py") -> str:
        (tmp_path / name).write_text(code)
        return str(tmp_path / name)

    return write


# --- finding
def test_a_function_in_a_file_is_a_model_named_after_the_file(write: Writing) -> None:
    wrapper = loader.load_wrapper(write(FUNCTION) + ":predict")
    assert (wrapper.name, wrapper.input) == ("model", InputKind.TEXT)
    assert wrapper.predict(["a"]) == ["a"]


@pytest.mark.parametrize(
    "code",
    [
        FUNCTION,
        "def only(texts: list[str]):\n    return texts",
        FUNCTION + "def helper(x): ...\ndef load(): ...\n_hidden = 1",
        ECHO + "def helper(x): ...",
        ECHO + "class B(Echo): ...\nmodel = B()",
    ],
    ids=["predict", "the only function", "predict beside helpers", "the only class", "an object called model"],
)
def test_the_one_model_of_a_file_need_not_be_named(write: Writing, code: str) -> None:
    wrapper = loader.load_wrapper(write(code))
    assert wrapper.input is InputKind.TEXT
    assert wrapper.predict(["a"]) == ["a"]


def test_two_models_in_a_file_are_unclear_and_listed(write: Writing) -> None:
    file = write("def one(t: list[str]): ...\ndef two(t: list[str]): ...")
    with pytest.raises(ModelLoadError, match=rf"unclear.*{file}:one, {file}:two"):
        loader.load_wrapper(file)


def test_a_class_by_dotted_path_and_a_name_are_found(write: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    write(CLASS, "some_models.py")
    monkeypatch.syspath_prepend(Path(write("", "x.py")).parent)
    assert loader.load_wrapper("some_models:Mine", {"size": "3"}).name == "mine"
    assert type(loader.load_wrapper("sklearn", {"model": "m.joblib"})).__name__ == "SklearnModel"
    assert {"sklearn", "spacy", "onnx"} <= set(loader.names())


def test_a_file_can_import_its_neighbours(write: Writing) -> None:
    write("WORD = 'hello'", "neighbour_of_model.py")
    file = write("from neighbour_of_model import WORD\ndef predict(t: list[str]):\n    return [WORD for _ in t]")
    assert loader.load_wrapper(file).predict(["a"]) == ["hello"]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nonsense", "no wrapper called 'nonsense'.*onnx, .*sklearn, spacy"),
        ("no/such/file.py:predict", "there is no file no/such/file.py"),
        ("{file}:train", r"no 'train' in .*It has predict"),
        ("no_such_module_here:Class", "'no_such_module_here' could not be imported: ModuleNotFoundError"),
        ("json:JSONDecoder", "neither a function nor a ModelWrapper"),
        ("{empty}", "has no model"),
    ],
)
def test_what_cannot_be_found_is_an_error_that_helps(write: Writing, target: str, sentence: str) -> None:
    target = target.format(file=write(FUNCTION), empty=write("x = 1", "empty.py"))
    with pytest.raises((NotFoundError, ModelLoadError), match=sentence):
        loader.load_wrapper(target)


# --- errors of users' code
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("x = 1\nraise RuntimeError('bad start')", r"model\.py:2: RuntimeError: bad start"),
        ("def f():\n  import no_such_package\nf()", r"model\.py:2: ModuleNotFoundError.*pip install no_such_package"),
        ("import yaml.nothing.of.it", r"model\.py:1: ModuleNotFoundError.*pip install pyyaml"),
        ("def predict(:", r"model\.py:1: SyntaxError"),
        ("import sys\nsys.exit(3)", r"model\.py:2: SystemExit: 3"),
    ],
)
def test_code_that_fails_is_one_sentence_with_file_and_line(
    write: Writing, code: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelLoadError, match=sentence) as caught:
        loader.load_wrapper(write(code))
    assert "Traceback" not in str(caught.value)
    assert any(record.exc_info for record in caplog.records)


def test_a_load_that_fails_says_where(write: Writing) -> None:
    wrapper = loader.load_wrapper(write(FUNCTION + "def load():\n    open('no such weights')\n"))
    with pytest.raises(ModelLoadError, match=r"'model' could not be loaded: .*model\.py:4: FileNotFoundError"):
        loader.load(wrapper)


# --- options
def test_options_become_the_constructors_types(write: Writing) -> None:
    given = {
        "size": "3", "folder": "/tmp", "names": "a, b", "fast": "yes", "mode": "B", "pair": "3,4", "extra": '{"x": 1}',
    }  # fmt: skip
    wrapper = loader.load_wrapper(write(CLASS), given)
    assert wrapper.given == (3, Path("/tmp"), ["a", "b"], True, "b", (3, 4), {"x": 1})  # type: ignore[attr-defined]
    assert wrapper.options == given


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, r"needs the option size.*--opt size=\.\.\."),
        ({"size": "three"}, "option size of model must be integer, not 'three'"),
        ({"size": "3", "fast": "perhaps"}, "must be true or false"),
        ({"size": "3", "mode": "c"}, "must be a or b"),
        ({"size": "3", "colour": "red"}, r"no option 'colour'.*size \(integer, needed\), folder \(path"),
    ],
)
def test_wrong_options_are_errors_that_list_the_right_ones(
    write: Writing, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ModelLoadError, match=sentence):
        loader.load_wrapper(write(CLASS), options)


def test_a_functions_further_parameters_are_its_options(write: Writing) -> None:
    file = write("def predict(texts: list[str], *, times: int = 1):\n    return [text * times for text in texts]")
    assert loader.load_wrapper(file, {"times": "3"}).predict(["a"]) == ["aaa"]
    with pytest.raises(ModelLoadError, match=r"no option 'texts'"):
        loader.load_wrapper(file, {"texts": "x"})


# --- versions
def test_a_version_is_the_name_and_eight_digits_and_follows_the_code(write: Writing) -> None:
    settings = load_settings()
    first = loader.model_version(loader.load_wrapper(write(FUNCTION)), settings)
    assert first.startswith("model-")
    assert len(first) == len("model-") + 8
    assert loader.model_version(loader.load_wrapper(write(FUNCTION)), settings) == first
    assert loader.model_version(loader.load_wrapper(write(FUNCTION + "# changed")), settings) != first


@pytest.mark.parametrize(("code", "options"), [(FUNCTION, {}), (CLASS, {"size": "1"})], ids=["function", "class"])
def test_a_version_is_the_same_wherever_the_file_lies(tmp_path: Path, code: str, options: dict[str, str]) -> None:
    versions = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "model.py").write_text(code)
        wrapper = loader.load_wrapper(str(tmp_path / place / "model.py"), options)
        versions.add(loader.model_version(wrapper, load_settings()))
    assert len(versions) == 1


def test_a_class_changes_its_version_with_its_code_and_options(write: Writing) -> None:
    settings = load_settings()
    versions = {
        loader.model_version(loader.load_wrapper(write(code), {"size": size}), settings)
        for code in (CLASS, CLASS + "# changed")
        for size in ("1", "2")
    }
    assert len(versions) == 4


def test_declared_weights_belong_to_the_version(write: Writing, tmp_path: Path) -> None:
    file = write("weights = ['w.bin']\n" + FUNCTION)
    with pytest.raises(ModelLoadError, match=r"there is no file .*w\.bin"):
        loader.model_version(loader.load_wrapper(file), load_settings())
    (tmp_path / "w.bin").write_bytes(b"1")
    first = loader.model_version(loader.load_wrapper(file), load_settings())
    (tmp_path / "w.bin").write_bytes(b"2")
    assert loader.model_version(loader.load_wrapper(file), load_settings()) != first


def test_a_version_that_somebody_names_is_kept(write: Writing) -> None:
    wrapper = loader.load_wrapper(write("version = '2024-07'\nname = 'mine'\n" + FUNCTION))
    assert loader.model_version(wrapper, load_settings()) == "2024-07"
    assert loader.model_version(wrapper, load_settings(model_version="here")) == "here"
    plain = loader.load_wrapper(write(FUNCTION))
    assert loader.model_version(plain, load_settings(model_name="ours")).startswith("ours-")


# --- functions
@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("list[str]", InputKind.TEXT),
        ("Sequence[str]", InputKind.TEXT),
        ("typing.List[str]", InputKind.TEXT),
        ("tuple[str, ...]", InputKind.TEXT),
        ("str", InputKind.TEXT),
        ("list[Image.Image]", InputKind.IMAGE),
        ("list[Image]", InputKind.IMAGE),  # the module is written, its class is meant
        ("list[np.ndarray]", InputKind.ARRAY),
        ("list[NDArray[np.uint8]]", InputKind.ARRAY),
        ("list[Audio]", InputKind.AUDIO),
        ("list[prelabel.Task]", InputKind.TASK),
        ("list[Item]", InputKind.ITEM),
        ("list[Path]", InputKind.FILE),
        ("list[dict[str, np.ndarray]]", InputKind.TABLE),
        ("list[dict[str, typing.Any]]", InputKind.VALUE),
        ("list[typing.Any]", InputKind.VALUE),
    ],
)
@pytest.mark.parametrize("future", [True, False], ids=["as text", "as objects"])
def test_the_annotation_says_the_input(write: Writing, annotation: str, kind: InputKind, future: bool) -> None:
    code = (
        ("from __future__ import annotations\n" if future else "")
        + "import typing, prelabel\nimport numpy as np\nfrom pathlib import Path\n"
        + "from collections.abc import Sequence\nfrom numpy.typing import NDArray\n"
        + "from PIL import Image\nfrom prelabel import Audio, Item, Choice\n"
        + f"def predict(batch: {annotation}) -> list[Choice]:\n    return list(batch)\n"
    )
    assert loader.load_wrapper(write(code)).input is kind


@pytest.mark.parametrize(
    ("signature", "sentence"),
    [
        ("texts", r"no annotation.*list\[str\] +text"),
        ("texts: list[int]", r"list\[int\], says no input.*list\[prelabel\.Task\]"),
        ("texts: list", "list, says no input"),
        ("texts: 'list[Picture]'", "cannot be resolved: name 'Picture' is not defined.*not under TYPE_CHECKING"),
        ("", "takes no argument"),
    ],
)
def test_an_annotation_that_says_nothing_is_an_error_with_the_table(
    write: Writing, signature: str, sentence: str
) -> None:
    with pytest.raises(ModelLoadError, match=f"(?s){sentence}"):
        loader.load_wrapper(write(f"def predict({signature}): ..."))


def test_an_asynchronous_function_is_refused(write: Writing) -> None:
    with pytest.raises(ModelLoadError, match="asynchronous"):
        loader.load_wrapper(write("async def predict(texts: list[str]): ..."))


def test_a_return_annotation_that_cannot_be_resolved_does_no_harm(write: Writing) -> None:
    assert loader.load_wrapper(write("def predict(texts: list[str]) -> 'list[Nothing]':\n    return texts"))


def test_a_function_of_one_item_is_called_item_by_item(write: Writing) -> None:
    wrapper = loader.load_wrapper(write("def predict(text: str):\n    return text.upper()"))
    assert wrapper.predict(["a", "b"]) == ["A", "B"]


@pytest.mark.parametrize("result", ["'Positive'", "{'Positive': 1.0}", "None", "Choice('Positive')"])
def test_one_answer_for_a_whole_batch_is_an_error(write: Writing, result: str) -> None:
    wrapper = loader.load_wrapper(
        write(f"from prelabel import Choice\ndef predict(t: list[str]):\n    return {result}")
    )
    with pytest.raises(ModelError, match="Return a list with one result per item"):
        wrapper.predict(["a"])


def test_arrays_and_generators_of_results_become_lists(write: Writing) -> None:
    code = "import numpy as np\ndef predict(texts: list[str]):\n    return {}\n"
    assert loader.load_wrapper(write(code.format("(t for t in texts)"))).predict(["a"]) == ["a"]
    (value,) = loader.load_wrapper(write(code.format("np.array([0.5 for t in texts])"))).predict(["a"])
    assert isinstance(value, np.floating)


def test_a_module_says_what_its_model_is(write: Writing) -> None:
    code = (
        "from prelabel import Choice\nlabels = []\noutputs = [Choice]\nmax_batch_size = 4\n"
        "interactive = True\ncalls = []\ndef load(directory):\n    labels.append(directory.name)\n"
        "def unload():\n    calls.append('unload')\n"
        "def fit(examples):\n    return f'v{len(examples)}'\n"
        "def save(directory):\n    calls.append(directory)\n" + FUNCTION
    )
    wrapper = loader.load_wrapper(write(code))
    wrapper.artifact = Path("Good")
    assert (wrapper.outputs, wrapper.max_batch_size, wrapper.interactive) == ((Choice,), 4, True)
    loader.load(wrapper)
    assert wrapper.labels == ("Good",)
    assert wrapper.can_fit
    assert wrapper.fit(typing.cast("Any", [1, 2])) == "v2"
    wrapper.save(Path("there"))
    wrapper.unload()
    assert typing.cast("Any", wrapper).function.__globals__["calls"] == [Path("there"), "unload"]


def test_a_model_without_fit_says_so(write: Writing) -> None:
    with pytest.raises(NotImplementedError, match="cannot be trained"):
        loader.load_wrapper(write(FUNCTION)).fit([])
    cannot_keep = loader.load_wrapper(write("def fit(examples):\n    pass\n" + FUNCTION))
    assert not cannot_keep.can_fit
    with pytest.raises(NotImplementedError, match="it has no save"):
        cannot_keep.fit([])


def test_a_method_of_an_object_works_like_a_function(write: Writing) -> None:
    code = "class Thing:\n    def predict(self, texts: list[str]):\n        return texts\nthing = Thing()\n"
    assert loader.load_wrapper(write(code) + ":thing.predict").predict(["a"]) == ["a"]


def test_a_class_is_a_wrapper_when_it_inherits(write: Writing) -> None:
    assert isinstance(loader.load_wrapper(write(CLASS), {"size": "1"}), ModelWrapper)
