"""The command `prelabel`: help, options, errors, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from prelabel.cli import COMMANDS, cli
from prelabel.cli.options import SettingOption, parse_options
from prelabel.cli.predicting import duration, task_ids
from prelabel.errors import DataError
from prelabel.settings import Settings, shown_variable

Run = Callable[..., Result]


@pytest.fixture
def run(command_line: Run) -> Run:
    return command_line


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def test_help_lists_every_command_without_importing_any() -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "prelabel", "--help"], capture_output=True, text=True, check=True
    )
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in loaded.stdout
        assert line.split()[0] in loaded.stdout
    for heavy in ("pydantic", "numpy", "sqlalchemy", "flask", "rq", "httpx", "prelabel.cli.serving"):
        assert f" {heavy}\n" not in loaded.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: prelabel {name}")
    assert len((command(name).help or "").split()) >= 5


def all_commands() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name in COMMANDS:
        one = command(name)
        found.append((name, one))
        if isinstance(one, click.Group):
            found += [(f"{name} {sub}", two) for sub, two in one.commands.items()]
    return found


@pytest.mark.parametrize(("name", "one"), all_commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_option_has_a_help_text(name: str, one: click.Command) -> None:
    for param in one.params:
        if isinstance(param, click.Option):
            assert param.help, f"prelabel {name} {param.opts}"


def test_every_setting_is_an_option_somewhere() -> None:
    options = {
        param.setting: param for _, one in all_commands() for param in one.params if isinstance(param, SettingOption)
    }
    positional = {"model", "model_options"}
    assert set(options) | positional == set(Settings.model_fields)
    for name, option in options.items():
        assert f"env: {shown_variable(name)}" in (option.help or "")


def test_an_options_default_comes_from_the_table() -> None:
    option = next(param for param in command("serve").params if param.name == "port")
    assert isinstance(option, click.Option)
    assert "default: 9090" in (option.help or "")
    assert option.default is None or "UNSET" in repr(option.default).upper()


def test_wrong_usage_ends_with_2(run: Run) -> None:
    for arguments in (["nonsense"], ["serve"], ["serve", "m.py", "--port", "99999"], ["serve", "m.py", "-o", "x"]):
        result = run(*arguments)
        assert result.exit_code == 2, arguments
        assert "Traceback" not in result.output


def test_an_error_is_a_sentence_and_a_fix_on_standard_error(run: Run) -> None:
    result = run("worker")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "Error: a worker needs a model or a server that has one.\n"
        "  Fix: Give --server-url http://HOST:9090, or --model my_model.py:predict.\n"
    )


def test_a_malformed_variable_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRELABEL_PORT", "ninety")
    result = run("serve", "m.py")
    assert result.exit_code == 1
    assert "setting port" in result.stderr


def test_an_error_about_a_task_names_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("broken")
    def broken() -> None:
        raise DataError("its image is gone.", hint="Import it again.", task=7)

    monkeypatch.setattr(type(cli), "get_command", lambda *_: broken)
    result = run("serve")
    assert (result.exit_code, result.stderr) == (1, "Error: task 7: its image is gone.\n  Fix: Import it again.\n")


def test_an_unexpected_error_is_a_sentence_and_its_traceback_is_in_a_file(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @click.command("broken")
    def broken() -> None:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr(type(cli), "get_command", lambda *_: broken)
    result = run("serve")
    log = tmp_path / "data" / "prelabel-errors.log"
    assert result.exit_code == 1
    assert "ZeroDivisionError: oh" in result.stderr
    assert str(log) in result.stderr
    assert "Traceback" not in result.output
    assert "Traceback" in log.read_text()


def test_debugging_shows_the_traceback(run: Run) -> None:
    result = run("worker", "--model", "nowhere.py:f", "--log-level", "debug")
    assert result.exit_code == 1
    assert result.exception is not None
    assert not isinstance(result.exception, SystemExit)


def test_a_worker_has_one_model(run: Run) -> None:
    result = run("worker", "--model", "a.py:f", "--server-url", "http://127.0.0.1:9090", "--shadow")
    assert result.exit_code == 1
    assert "a.py:f, and http://127.0.0.1:9090" in result.stderr


def test_model_options_are_pairs() -> None:
    assert parse_options(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    assert parse_options([]) is None
    with pytest.raises(click.UsageError, match="key=value"):
        parse_options(["a"])


CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)
MODEL = """
def predict(texts: list[str], word: str = "good") -> list[str]:
    return ["pos" if word in text else "neg" for text in texts]
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A directory with a model, a labeling config and tasks."""
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "label.xml").write_text(CHOICES)
    (tmp_path / "tasks.json").write_text(json.dumps([{"text": "good"}, {"text": "nice"}]))
    return tmp_path


def test_a_label_map_may_stand_in_a_file(run: Run, written: Path) -> None:
    (written / "map.json").write_text('{"pos": "Positive", "neg": "Negative"}')
    (written / "wrong.json").write_text('{"pos": 1}')
    check = ("check", "model.py", "--config", "label.xml", "--tasks", "tasks.json", "--label-map")
    right = run(*check, "@map.json")
    assert right.exit_code == 0, right.output
    assert "choices Positive" in right.stdout
    for wrong in ("@wrong.json", "@missing.json", "{pos"):
        assert run(*check, wrong).exit_code == 2


def test_check_says_what_would_be_dropped_and_writes_what_can_be_imported(run: Run, written: Path) -> None:
    check = ("check", "model.py", "--config", "label.xml", "--tasks", "tasks.json", "--output", "out.json")
    dropped = run(*check)
    assert "dropped" in dropped.stdout
    assert "0 of 2 tasks" in dropped.stdout
    mapped = run(*check, "--label-map", '{"pos": "Positive", "neg": "Negative"}', "-o", "word=nice", "--limit", "2")
    assert mapped.exit_code == 0
    assert "2 of 2 tasks" in mapped.stdout
    first, second = json.loads((written / "out.json").read_text())
    assert first["predictions"][0]["result"][0]["value"] == {"choices": ["Negative"]}
    assert second["predictions"][0]["result"][0]["value"] == {"choices": ["Positive"]}


def test_check_shows_the_words_of_a_text_area(run: Run, written: Path) -> None:
    (written / "area.xml").write_text(
        '<View><Text name="text" value="$text"/><TextArea name="area" toName="text"/></View>'
    )
    (written / "writer.py").write_text(
        "def predict(texts: list[str]):\n    return [text.upper() * 30 for text in texts]\n"
    )
    shown = run("check", "writer.py", "--config", "area.xml", "--tasks", "tasks.json")
    assert shown.exit_code == 0, shown.output
    assert "task 1: textarea 'GOODGOOD" in shown.stdout
    assert "...', score" in shown.stdout


def test_check_ends_with_1_when_nothing_fits_or_a_task_fails(run: Run, written: Path) -> None:
    (written / "tasks.json").write_text('[{"other": "field"}]')
    failed = run("check", "model.py", "--config", "label.xml", "--tasks", "tasks.json")
    assert (failed.exit_code, "failed" in failed.stdout, "fix:" in failed.stdout) == (1, True, True)
    (written / "model.py").write_text('labels = ["Sport"]\n' + MODEL)
    misfit = run("check", "model.py", "--config", "label.xml")
    assert misfit.exit_code == 1
    assert "refused" in misfit.stdout
    assert "Sport" in misfit.stdout


def test_check_explains_a_broken_model_in_one_line(run: Run, written: Path) -> None:
    (written / "model.py").write_text("import nothing_of_that_name\n")
    broken = run("check", "model.py", "--config", "label.xml")
    assert broken.exit_code == 1
    assert "Traceback" not in broken.output
    (written / "model.py").write_text("def predict(texts: list[str]):\n    return 1 / 0\n")
    failing = run("check", "model.py", "--config", "label.xml", "--tasks", "tasks.json")
    assert "model.py:2: ZeroDivisionError" in failing.stdout
    assert "Traceback" not in failing.output
    assert "model.py" in broken.stderr
    assert "pip install nothing_of_that_name" in broken.stderr


@pytest.mark.parametrize("kind", ["text", "image", "audio"])
def test_what_init_writes_passes_check_as_it_is(run: Run, tmp_path: Path, kind: str) -> None:
    written = run("init", "mine", "--kind", kind)
    assert written.exit_code == 0
    folder = tmp_path / "mine"
    files = (
        str(folder / "model.py"),
        "--config",
        str(folder / "label_config.xml"),
        "--tasks",
        str(folder / "tasks.json"),
    )
    checked = run("check", *files)
    assert checked.exit_code == 0, checked.output
    again = run("init", "mine", "--kind", kind)
    assert again.exit_code == 1
    assert "already has model.py" in again.stderr


def test_jobs_are_none_at_first_and_unknown_ones_are_errors(run: Run) -> None:
    assert "No jobs yet" in run("jobs").stdout
    assert run("jobs", "list", "--json").stdout == "[]\n"
    assert run("jobs", "--json").stdout == "[]\n"
    assert run("jobs", "failed").stdout == "Nothing failed.\n"
    for verb in ("show", "watch", "cancel", "resume", "failed", "retry"):
        result = run("jobs", verb, "nonsense")
        assert result.exit_code == 1, verb
        assert "nonsense" in result.stderr


@pytest.mark.parametrize(("text", "ids"), [("1", (1,)), ("1,2,2", (1, 2)), ("3-5, 9", (3, 4, 5, 9)), (None, ())])
def test_task_ids_are_numbers_and_ranges(text: str | None, ids: tuple[int, ...]) -> None:
    assert task_ids(click.Context(cli), click.Option(["--tasks"]), text) == ids


@pytest.mark.parametrize("text", ["", "a", "1-b", ","])
def test_what_is_no_task_id_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        task_ids(click.Context(cli), click.Option(["--tasks"]), text)


@pytest.mark.parametrize(
    "arguments", [("--only-missing", "--replace"), ("--tasks", "1", "--view", "2"), ("--project", "0")]
)
def test_predict_refuses_what_excludes_each_other(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("predict", "--project", "1", *arguments).exit_code == 2


def test_predict_without_a_label_studio_says_what_to_set(run: Run, written: Path) -> None:
    result = run("predict", "--project", "1", "--model", "model.py")
    assert result.exit_code == 1
    assert "LABEL_STUDIO_URL" in result.stderr


def test_a_command_written_wrongly_is_answered_with_the_right_one(run: Run) -> None:
    result = run("predcit", "--project", "1")
    assert result.exit_code == 2
    assert "Did you mean 'predict'?" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--label-studio-url", "localhost:8080", "begins with http://"),
        ("--public-url", "10.0.0.5:9090", "begins with http://"),
        ("--redis-url", "redis:6379", "begins with redis://"),
    ],
)
def test_an_address_without_its_scheme_is_refused(run: Run, option: str, value: str, sentence: str) -> None:
    result = run("doctor", option, value)
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_a_password_in_an_address_is_not_shown(run: Run) -> None:
    result = run("jobs", "--redis-url", "http://:secret@127.0.0.1:6379")
    assert result.exit_code == 1
    assert "secret" not in result.output


def test_a_data_directory_that_cannot_be_made_is_said_so(run: Run, written: Path) -> None:
    (written / "a file").touch()
    result = run("up", "model.py", "--port", "0", "--data-dir", "a file/below")
    assert result.exit_code == 1
    assert "data directory a file/below cannot be written" in result.stderr


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (245, "4 min 05 s"), (7800, "2 h 10 min")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
