"""What README and docs say holds: links, generated tables, the five lines; and nothing is undocumented."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from prelabel.cli import COMMANDS, cli
from prelabel.cli.reference import FILES, updated
from prelabel.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted([*(ROOT / "docs").glob("**/*.md"), *ROOT.glob("*.md")])
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("**/*.md"))
CHOICES = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)


def blocks(text: str, language: str = "") -> list[str]:
    """Fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


# --- generated parts, links
@pytest.mark.parametrize("name", FILES)
def test_generated_tables_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- generated: " in text
    assert updated(text) == text, "run `python -m prelabel.cli.reference`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if heading:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
            assert heading in anchors, f"{page.name} links to {target}"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index, page.name


# --- nothing is undocumented
@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_every_command_and_subcommand_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        subcommands = command.commands if isinstance(command, click.Group) else {}
        for title in (name, *(f"{name} {sub}" for sub in subcommands)):
            assert f"### prelabel {title}\n" in text
        assert f"`prelabel {name}`" in README.read_text(encoding="utf-8")


def test_every_endpoint_is_documented(tmp_path: Path, redis_url: str) -> None:
    from prelabel.queue import JobQueue
    from prelabel.runs import Ledger
    from prelabel.server import create_app
    from prelabel.settings import load_settings

    class Nobody:
        """A predictor that is never asked."""

        name, ready, model_version = "nobody", False, "nobody-1"

    settings = load_settings(data_dir=tmp_path, redis_url=redis_url)
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    predictor: Any = Nobody()
    app = create_app(settings, predictor, ledger=ledger, queue=queue)
    text = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<\w+:", "<", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert re.search(rf"`{method} {re.escape(path)}[`?]", text), f"{method} {path} is not in docs/http.md"
    queue.close()
    ledger.close()


def test_every_wrapper_is_documented() -> None:
    from prelabel.loader import names

    for name in names():
        assert re.search(rf"^##+ .*\b{name}\b", DOCS, flags=re.MULTILINE), f"no heading for the wrapper {name}"


def test_every_command_line_in_readme_and_docs_is_one() -> None:
    """Each ``prelabel ...`` in a code block names a command, and only options that it has."""
    for page in PAGES:
        for line in "\n".join(blocks(page.read_text(encoding="utf-8"), r"\w*")).splitlines():
            for words in re.findall(r"(?:^|[;&] ?|run |exec server |\$ )prelabel ([a-z]+)((?: [^#;&|]*)?)", line):
                assert words[0] in COMMANDS, f"{page.name}: {line}"
                command = cli.get_command(click.Context(cli), words[0])
                assert command is not None
                known = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
                if not isinstance(command, click.Group):
                    for flag in re.findall(r"(?<!\S)--?[a-z][\w-]*", words[1]):
                        assert flag in {*known, "--help"}, f"{page.name}: {line}"


# --- the README's promises
@pytest.fixture
def five_lines(tmp_path: Path) -> Path:
    """my_model.py, verbatim from the README."""
    section = README.read_text(encoding="utf-8").partition("## Your own model in five lines")[2]
    assert "`my_model.py`:" in section.partition("```python")[0]
    code = blocks(section, "python")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
    (tmp_path / "my_model.py").write_text(code, encoding="utf-8")
    (tmp_path / "label_config.xml").write_text(CHOICES, encoding="utf-8")
    (tmp_path / "tasks.json").write_text(json.dumps([{"text": "A great day"}, {"text": "So so"}]), encoding="utf-8")
    return tmp_path


def test_the_five_lines_pass_check_as_the_readme_says(
    five_lines: Path, run_prelabel: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    text = README.read_text(encoding="utf-8")
    (command,) = re.findall(r"^prelabel (check .+)$", text, flags=re.MULTILINE)
    checked = run_prelabel(*command.split())
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "2 of 2 tasks" in checked.stdout
    assert five_lines.exists()


def test_the_five_lines_are_served_by_the_command_in_the_readme(five_lines: Path, prelabel_process: Any) -> None:
    text = README.read_text(encoding="utf-8")
    (command,) = set(re.findall(r"^prelabel (up \S+)", text, flags=re.MULTILINE))
    up = prelabel_process(*command.split())
    tasks = [{"id": 1, "data": {"text": "I love this great place"}}, {"id": 2, "data": {"text": "meh"}}]
    answer = httpx.post(f"{up.url}/predict", json={"tasks": tasks, "label_config": CHOICES, "project": "1.1"}).json()
    first, second = answer["results"]
    assert first["result"][0]["value"] == {"choices": ["Positive"]}
    assert first["score"] == pytest.approx(0.75)
    assert first["model_version"] == answer["model_version"] != ""
    assert second["score"] == pytest.approx(0.5)
    assert five_lines.exists()


def test_readmes_first_screen_has_the_two_commands_and_a_picture() -> None:
    first_screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:25])
    for part in ("make demo", "make test", "docs/images/"):
        assert part in first_screen


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


# --- containers
def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return read


def test_the_compose_file_has_the_parts_and_no_secret_in_it() -> None:
    services = compose()["services"]
    assert set(services) == {"label-studio", "server", "worker", "postgres", "redis"}
    label_studio = services["label-studio"]["environment"]
    assert label_studio["ML_BLOCK_LOCAL_IP"] == label_studio["SSRF_PROTECTION_ENABLED"] == "false"
    assert "ports" not in services["worker"], "published ports would clash when workers are scaled"
    assert "container_name" not in services["worker"]
    for name, service in services.items():
        for variable, value in service["environment"].items() if "environment" in service else ():
            if re.search(r"PASS|API_KEY|TOKEN", variable) and variable != "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN":
                assert value.startswith("${"), f"{name}: {variable}"


def test_every_variable_that_the_compose_file_gives_prelabel_is_a_setting() -> None:
    from prelabel.settings import unknown_variables

    services = compose()["services"]
    given = {**services["server"]["environment"], **services["worker"]["environment"]}
    assert unknown_variables(given) == {}


def test_every_variable_that_the_compose_file_needs_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w+):\?", text):
        assert re.search(rf"^{name}=", example, flags=re.MULTILINE), name


def test_docker_takes_the_compose_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker's compose plugin is not here")
    needed = re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    taken = subprocess.run(
        [docker, "compose", "--project-directory", str(ROOT), "config", "--quiet"],
        env={**os.environ, **dict.fromkeys(needed, "x")},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert taken.returncode == 0, taken.stderr


def test_the_image_is_built_from_files_that_it_gets() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (.+) \S+$", dockerfile, flags=re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored.splitlines()
