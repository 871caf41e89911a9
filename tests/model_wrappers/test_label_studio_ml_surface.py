"""What files written for `label_studio_ml` import, read and do while they are imported."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prelabel.data import DataReader
from prelabel.errors import ModelLoadError
from prelabel.loader import load_wrapper
from prelabel.lsml.environment import tell
from prelabel.model import Surroundings
from prelabel.runs import Ledger
from prelabel.settings import load_settings

CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
MODEL = "from label_studio_ml.model import LabelStudioMLBase\n\n\nclass Mine(LabelStudioMLBase):\n    pass\n"


@pytest.fixture
def variables() -> Iterator[None]:
    """The environment is put back as it was."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize(
    "line",
    [
        "from label_studio_ml.model import LabelStudioMLBase, ModelResponse, predict_fn, update_fn",
        "from label_studio_ml.model import get_all_classes_inherited_LabelStudioMLBase",
        "from label_studio_ml.response import ModelResponse, PredictionValue, SingleTaskPredictions",
        "from label_studio_ml.api import init_app",
        "from label_studio_ml.exceptions import AnswerException, exception_handler",
        "from label_studio_ml.utils import DATA_UNDEFINED_NAME, get_image_size, get_single_tag_keys, is_skipped",
        "from label_studio_ml.utils import InMemoryLRUDictCache, get_image_local_path, get_choice, match_labels",
        "from label_studio_ml.utils import compare_nested_structures, get_local_path, is_preload_needed",
        "from label_studio_sdk.objects import PredictionValue",
        "from label_studio_sdk.label_interface.objects import PredictionValue",
        "from label_studio_sdk.label_interface.object_tags import ImageTag, ParagraphsTag",
        "from label_studio_sdk.label_interface.control_tags import ControlTag, ObjectTag",
        "from label_studio_sdk.converter import brush",
        "from label_studio_converter import brush",
        "from label_studio_tools.core.utils.io import get_data_dir, get_local_path",
        "from label_studio_tools.core.label_config import parse_config",
        "from label_studio_tools.core.utils.params import get_env",
        "from label_studio_sdk._extensions.label_studio_tools.core.utils.io import get_data_dir, get_local_path",
        "from label_studio_sdk import Client, LabelStudio",
    ],
)
def test_the_imports_of_existing_files_work(tmp_path: Path, line: str) -> None:
    (tmp_path / "model.py").write_text(f"{line}\n{MODEL}")
    assert load_wrapper(str(tmp_path)).name == "Mine"


def test_a_moved_module_is_one_module_under_two_names(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import label_studio_tools.core.utils.io as old\nfrom label_studio_sdk.objects import PredictionValue as Old\n"
        "import label_studio_sdk._extensions.label_studio_tools.core.utils.io as new\n"
        "from label_studio_sdk.label_interface.objects import PredictionValue as New\n"
        f"assert old is new and Old is New\n{MODEL}"
    )
    assert load_wrapper(str(tmp_path)).name == "Mine"


def test_a_module_that_never_was_there_is_missing_under_its_old_name(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(f"import label_studio_tools.nowhere\n{MODEL}")
    with pytest.raises(ModelLoadError, match=r"No module named 'label_studio_tools\.nowhere'"):
        load_wrapper(str(tmp_path))


def test_an_installed_package_of_an_old_name_is_used(tmp_path: Path) -> None:
    installed = tmp_path / "site" / "label_studio_tools"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("WHOSE = 'theirs'\n")
    (installed / "inner.py").write_text("WHOSE = 'theirs too'\n")
    (tmp_path / "model.py").write_text(
        f"import label_studio_tools.inner\nprint(label_studio_tools.WHOSE, label_studio_tools.inner.WHOSE)\n{MODEL}"
    )
    code = f"from prelabel.loader import load_wrapper; load_wrapper({str(tmp_path)!r})"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "theirs theirs too"


@pytest.mark.usefixtures("variables")
def test_what_a_file_reads_while_it_is_imported_is_what_the_settings_say(tmp_path: Path) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        os.environ.pop(name, None)
    os.environ["LABEL_STUDIO_HOST"] = "http://given.example"
    os.environ["MODEL_DIR"] = str(tmp_path / "made" / "models")
    tell(load_settings(label_studio_url="http://ls.example", label_studio_api_key="key"))
    (tmp_path / "model.py").write_text(
        "import os\nSEEN = [os.getenv('LABEL_STUDIO_URL'), os.getenv('LABEL_STUDIO_HOST'), "
        f"os.getenv('LABEL_STUDIO_API_KEY'), os.path.isdir(os.environ['MODEL_DIR'])]\n{MODEL}"
    )
    wrapper: Any = load_wrapper(str(tmp_path))
    seen = sys.modules[wrapper.model.__module__].SEEN
    assert seen == ["http://ls.example", "http://given.example", "key", True]


def test_what_a_file_adds_to_its_app_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "model.py").write_text(
        f"{MODEL}\nfrom label_studio_ml.api import init_app\napp = init_app(model_class=Mine, model_dir='.')\n"
        "app.config['MAX_CONTENT_LENGTH'] = 1\napp.wsgi_app = object()\n"
        "@app.route('/version')\ndef version():\n    return 'one'\nassert version() == 'one'\n"
    )
    with caplog.at_level(logging.WARNING):
        assert load_wrapper(str(tmp_path)).name == "Mine"
    assert "app.route('/version'): prelabel does not serve what a file adds to its app" in caplog.text


def test_a_guard_in_the_file_is_never_ignored(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        f"{MODEL}\nfrom label_studio_ml.api import init_app\napp = init_app(Mine)\n"
        "@app.before_request\ndef check(): ...\n"
    )
    with pytest.raises(ModelLoadError, match=r"app\.before_request is not there"):
        load_wrapper(str(tmp_path))


def test_two_directories_whose_files_have_the_same_names_are_two_models(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text(f"{MODEL}    WHOSE = {name!r}\n")
        (tmp_path / name / "_wsgi.py").write_text(
            "from label_studio_ml.api import init_app\nfrom model import Mine\napp = init_app(model_class=Mine)\n"
        )
    found: list[Any] = [load_wrapper(str(tmp_path / name)) for name in ("one", "two", "one")]
    assert [wrapper.model.WHOSE for wrapper in found] == ["one", "two", "one"]


def test_structures_are_compared_with_a_tolerance_for_decimals(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(f"from label_studio_ml.utils import compare_nested_structures\n{MODEL}")
    wrapper: Any = load_wrapper(str(tmp_path))
    compare = sys.modules[wrapper.model.__module__].compare_nested_structures
    compare({"a": [1.0, "x", 3]}, {"a": [1.00001, "x", 3]})
    others: list[dict[str, list[Any]]] = [{"a": [1.1, "x", 3]}, {"a": [1.0, "y", 3]}, {"a": [1.0, "x"]}, {"b": []}]
    for other in others:
        with pytest.raises(AssertionError, match="Mismatch at"):
            compare({"a": [1.0, "x", 3]}, other)


# --- what the package kept
def kept_before(directory: Path) -> None:
    """What the package leaves in ``MODEL_DIR``."""
    directory.mkdir(parents=True)
    with sqlite3.connect(directory / "cache.db") as database:
        database.execute("CREATE TABLE cache (project_id TEXT, key TEXT, value TEXT, PRIMARY KEY (project_id, key))")
        rows = [("7", "last", "Negative"), ("7", "label_config", "<View/>"), ("8", "last", "Positive")]
        database.executemany("INSERT INTO cache VALUES (?, ?, ?)", rows)
    database.close()


@pytest.mark.usefixtures("variables")
def test_what_the_package_kept_before_is_taken_over_once(tmp_path: Path) -> None:
    kept_before(tmp_path / "models")
    os.environ["MODEL_DIR"] = str(tmp_path / "models")
    (tmp_path / "model.py").write_text(MODEL)
    settings = load_settings(data_dir=tmp_path / "data")
    ledger, reader = Ledger.open(settings), DataReader(settings)

    def model(project: str) -> Any:
        wrapper: Any = load_wrapper(str(tmp_path / "model.py"))
        wrapper.enter(Surroundings(settings, reader, ledger))
        return wrapper.instance(project, CHOICES, "hash")

    first = model("7")
    assert (first.get("last"), first.label_config) == ("Negative", CHOICES)
    first.set("last", "learnt since")
    assert (model("7").get("last"), model("8").get("last")) == ("learnt since", "Positive")
    reader.close()
    ledger.close()


@pytest.mark.usefixtures("variables")
def test_a_file_that_cannot_be_read_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "cache.db").write_text("this is no database, whatever its name says")
    os.environ["MODEL_DIR"] = str(tmp_path / "models")
    (tmp_path / "model.py").write_text(MODEL)
    settings = load_settings(data_dir=tmp_path / "data")
    reader = DataReader(settings)
    load_wrapper(str(tmp_path / "model.py")).enter(Surroundings(settings, reader))
    assert "is not taken over" in caplog.text
    reader.close()


INSTALLED = {
    "__init__.py": "",
    "response.py": "class ModelResponse: ...\n",
    "api.py": "MODEL_CLASS = None\n",
    "model.py": (
        "CACHE = {}\n\n\nclass LabelStudioMLBase:\n    def __init__(self, project_id=None, label_config=None):\n"
        "        self.project_id = project_id\n"
        "    def get(self, key):\n        return CACHE[self.project_id, key]\n"
        "    def set(self, key, value):\n        CACHE[self.project_id, key] = value\n"
        "    def has(self, key):\n        return (self.project_id, key) in CACHE\n"
    ),
}
KEEP = """
import json, sys
from prelabel.data import DataReader
from prelabel.loader import load_wrapper
from prelabel.model import Surroundings
from prelabel.runs import Ledger
from prelabel.settings import load_settings
settings = load_settings()
ledger, reader = Ledger.open(settings), DataReader(settings)
wrapper = load_wrapper(sys.argv[1])
wrapper.enter(Surroundings(settings, reader, ledger))
model = wrapper.instance("7", "<View/>", "hash")
print(json.dumps([model.__class__.__mro__[1].__module__, model.has("last"), model.get("last")]))
model.set("last", "kept")
"""


def test_the_installed_package_keeps_in_the_registry_too(tmp_path: Path) -> None:
    (tmp_path / "site" / "label_studio_ml").mkdir(parents=True)
    for name, text in INSTALLED.items():
        (tmp_path / "site" / "label_studio_ml" / name).write_text(text)
    (tmp_path / "model.py").write_text(MODEL)
    told = {"PYTHONPATH": str(tmp_path / "site"), "PRELABEL_DATA_DIR": str(tmp_path / "data")}
    said = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", KEEP, str(tmp_path / "model.py")],
                env=os.environ | told,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(2)
    ]
    assert said == [["label_studio_ml.model", False, None], ["label_studio_ml.model", True, "kept"]]


def test_each_instance_knows_the_config_it_was_made_for(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    wrapper: Any = load_wrapper(str(tmp_path))
    other = CHOICES.replace("sentiment", "mood")
    first, second = (wrapper.instance("7", config, config) for config in (CHOICES, other))
    assert (first.label_config, second.label_config) == (CHOICES, other)
    assert (list(first.parsed_label_config), list(second.parsed_label_config)) == (["sentiment"], ["mood"])
