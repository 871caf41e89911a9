"""The doctor tells what works from what does not, and its fixes are the right ones: against a real Label Studio."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from prelabel.connect import ConnectError, connect
from prelabel.demo import installing
from prelabel.demo import label_studio as real_label_studio
from prelabel.doctor import Finding, examine
from prelabel.labelstudio import LabelStudio
from prelabel.settings import Settings, load_settings

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

ROOT = Path(__file__).resolve().parents[2]
PART = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text">'
    '<Choice value="Positive"/><Choice value="Neutral"/></Choices></View>'
)
OTHER = PART.replace("Positive", "Sport").replace("Neutral", "Politics")
IMAGE = (
    '<View><Text name="text" value="$text"/><Image name="image" value="$image"/>'
    '<Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices></View>'
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "BASIC_AUTH_USER", "BASIC_AUTH_PASS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ours(backend: Any, label_studio: LabelStudioServer) -> Callable[..., Settings]:
    """A running server that knows the real Label Studio; its settings."""

    def start(*model: str, **more: Any) -> Settings:
        known = {"label_studio_url": label_studio.url, "label_studio_api_key": label_studio.token}
        settings: Settings = backend(*model, **known, **more).settings
        return settings

    return start


@pytest.fixture
def client(label_studio: LabelStudioServer) -> Iterator[LabelStudio]:
    with contextlib.closing(LabelStudio(label_studio.url, label_studio.token)) as studio:
        yield studio


def diagnose(settings: Settings, project: int | None = None) -> dict[str, Finding]:
    """Findings by the thing they are about; of several, the worst."""
    order = ("OK", "SKIP", "WARN", "FAIL")
    found: dict[str, Finding] = {}
    for finding in examine(settings, project):
        known = found.get(finding.thing)
        if known is None or order.index(finding.status) > order.index(known.status):
            found[finding.thing] = finding
    return found


# --- our own parts
def test_what_is_missing_is_said_with_the_command_that_starts_it(tmp_path: Path) -> None:
    found = diagnose(load_settings(data_dir=tmp_path, port=1))
    statuses = {thing: finding.status for thing, finding in found.items()}
    assert statuses == {
        "settings": "OK",
        "timeouts": "OK",
        "data directory": "OK",
        "database": "OK",
        "Redis": "OK",
        "workers": "FAIL",
        "server": "FAIL",
        "Label Studio": "FAIL",
    }
    assert "`prelabel worker`" in found["workers"].fix
    assert "prelabel up" in found["server"].fix
    assert "LABEL_STUDIO_URL" in found["Label Studio"].fix


def test_a_redis_or_database_that_is_away_is_said_so(tmp_path: Path) -> None:
    found = diagnose(load_settings(data_dir=tmp_path, port=1, redis_url="redis://127.0.0.1:1/0"))
    assert found["Redis"].status == "FAIL"
    assert "PRELABEL_REDIS_URL" in found["Redis"].fix
    assert found["workers"].status == "SKIP"
    found = diagnose(load_settings(data_dir=tmp_path, port=1, database_url="nonsense://x"))
    assert found["database"].status == "FAIL"
    assert found["Redis"].status == "SKIP"


def test_a_misspelt_setting_and_a_deadline_too_close_to_label_studios_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRELABEL_PROT", "1")
    found = diagnose(load_settings(data_dir=tmp_path, port=1, predict_deadline_s=95))
    assert found["settings"].status == "WARN"
    assert "PRELABEL_PORT" in found["settings"].fix
    assert found["timeouts"].status == "WARN"
    assert "PRELABEL_PREDICT_DEADLINE_S=60" in found["timeouts"].fix


def test_a_model_that_cannot_be_loaded_and_a_wrong_password_are_told_apart(backend: Any) -> None:
    broken = "def load():\n    raise OSError('no weights here')\n\ndef predict(texts: list[str]):\n    return texts\n"
    found = diagnose(backend(broken).settings)
    assert found["server"].status == "OK"
    assert found["model"].status == "FAIL"
    assert "no weights here" in found["model"].says
    guarded = backend(basic_auth_user="bob", basic_auth_pass="right").settings
    wrong = load_settings(data_dir=guarded.data_dir, port=guarded.port, basic_auth_user="bob", basic_auth_pass="wrong")
    found = diagnose(wrong)
    assert found["model"].status == "FAIL"
    assert "BASIC_AUTH_PASS" in found["model"].fix


# --- Label Studio
def test_a_label_studio_that_is_away_is_said_so(tmp_path: Path) -> None:
    known = {"label_studio_url": "http://127.0.0.1:1", "label_studio_api_key": "a" * 40}
    found = diagnose(load_settings(data_dir=tmp_path, port=1, **known), 1)
    assert found["Label Studio"].status == "FAIL"
    assert "LABEL_STUDIO_URL" in found["Label Studio"].fix
    assert found["project 1"].status == "SKIP"


@pytest.mark.labelstudio
def test_a_legacy_token_is_refused_by_default_and_both_ways_out_are_named(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    legacy = label_studio.api.get("/api/current-user/token").json()["token"]
    known = {"label_studio_url": label_studio.url, "label_studio_api_key": legacy}
    found = diagnose(load_settings(data_dir=tmp_path, port=1, **known), 1)
    assert found["Label Studio"].status == "OK"
    assert found["token"].status == "FAIL"
    assert "a legacy token" in found["token"].says
    assert "personal access token" in found["token"].fix
    assert "LABEL_STUDIO_API_KEY" in found["token"].fix
    assert "Organization > API Tokens Settings" in found["token"].fix


@pytest.mark.labelstudio
def test_the_token_that_setup_brought_is_the_one_that_is_refused(
    label_studio: LabelStudioServer, project: Any, backend: Any
) -> None:
    here, ours = project(), backend()
    here.connect(ours.url)  # Label Studio's /setup brings its address and the user's legacy token
    found = diagnose(ours.settings)
    assert found["Label Studio"].status == "OK"
    assert found["token"].status == "FAIL"
    assert found["token"].says == "Label Studio refuses what /setup brought, which is a legacy token."
    assert found[f"project {here.id}"].status == "SKIP"


@pytest.mark.labelstudio
def test_a_revoked_personal_token_is_told_from_a_legacy_one(label_studio: LabelStudioServer, tmp_path: Path) -> None:
    head, body, _ = label_studio.token.split(".")
    known = {"label_studio_url": label_studio.url, "label_studio_api_key": f"{head}.{body}.AAAA"}
    found = diagnose(load_settings(data_dir=tmp_path, port=1, **known))
    assert found["token"].status == "FAIL"
    assert "a personal access token" in found["token"].says
    assert "Make a new one" in found["token"].fix


# --- projects
@pytest.mark.labelstudio
def test_a_project_without_the_backend_is_told_to_connect(ours: Any, project: Any) -> None:
    here = project()
    found = diagnose(ours(), here.id)
    assert found["token"].status == "OK"
    assert found["Label Studio to us"].status == "FAIL"
    assert f"prelabel connect --project {here.id}" in found["Label Studio to us"].fix
    assert found["webhook"].status == "SKIP"


@pytest.mark.labelstudio
def test_a_connected_project_is_well_in_every_respect_and_is_found_without_being_named(
    ours: Any, project: Any, client: LabelStudio
) -> None:
    here, settings = project(), ours()
    here.import_texts(["good", "bad"])
    connect(settings, client, here.id)
    found = diagnose(settings)
    well = ["server", "model", "Label Studio", "token", f"project {here.id}", "Label Studio to us", "webhook"]
    well += ["labeling config", "task data", "failures"]
    assert {thing: found[thing].status for thing in well} == dict.fromkeys(well, "OK")


@pytest.mark.labelstudio
def test_a_webhook_that_is_gone_doubled_switched_off_or_without_our_header_is_found(
    ours: Any, project: Any, client: LabelStudio
) -> None:
    here, settings = project(), ours(basic_auth_user="bob", basic_auth_pass="secret")
    hook = connect(settings, client, here.id).webhook
    url = f"{settings.effective_public_url}/webhook"
    assert diagnose(settings, here.id)["webhook"].status == "OK"

    client.set_webhook_headers(int(hook or 0), {})
    without = diagnose(settings, here.id)["webhook"]
    assert (without.status, "prelabel connect" in without.fix) == ("FAIL", True)

    connect(settings, client, here.id)
    change = {"url": url, "is_active": False, "send_for_all_actions": True, "actions": []}
    client.write("PATCH", f"api/webhooks/{hook}/", json=change)
    assert "switched off" in diagnose(settings, here.id)["webhook"].says

    client.write("PATCH", f"api/webhooks/{hook}/", json=change | {"is_active": True})
    second = client.write("POST", "api/webhooks/", json={"project": here.id, "url": url})
    assert diagnose(settings, here.id)["webhook"].status == "WARN"

    for one in (hook, second["id"]):
        client.write("DELETE", f"api/webhooks/{one}/")
    assert "SSRF_PROTECTION_ENABLED=false" in diagnose(settings, here.id)["webhook"].fix


@pytest.mark.labelstudio
def test_label_studio_not_reaching_us_is_explained_and_leaves_no_second_backend(
    backend: Any, label_studio: LabelStudioServer, project: Any, client: LabelStudio
) -> None:
    here = project()
    known = {"label_studio_url": label_studio.url, "label_studio_api_key": label_studio.token}
    running = backend(**known)
    connect(running.settings, client, here.id)
    running.end()
    found = diagnose(running.settings, here.id)
    assert found["Label Studio to us"].status == "FAIL"
    assert "cannot reach" in found["Label Studio to us"].says
    assert len(client.backends(here.id)) == 1


@pytest.mark.labelstudio
def test_a_labeling_config_that_fits_in_part_or_not_at_all_is_told_apart(
    ours: Any, project: Any, client: LabelStudio
) -> None:
    here, settings = project(PART), ours()
    connect(settings, client, here.id)
    part = diagnose(settings, here.id)["labeling config"]
    assert part.status == "WARN"
    assert "Negative" in part.says
    client.write("PATCH", f"api/projects/{here.id}", json={"label_config": OTHER})
    found = diagnose(settings, here.id)
    assert found["labeling config"].status == "FAIL"
    assert "Sport" in found["labeling config"].says
    assert found["Label Studio to us"].status == "FAIL"
    assert "do not go together" in found["Label Studio to us"].says


@pytest.mark.labelstudio
def test_task_data_that_cannot_be_read_is_found(ours: Any, project: Any, client: LabelStudio) -> None:
    here, settings = project(IMAGE), ours()
    connect(settings, client, here.id)
    assert diagnose(settings, here.id)["task data"].status == "SKIP"
    (task,) = here.import_tasks([{"text": "good", "image": "http://127.0.0.1:1/gone.png"}])
    found = diagnose(settings, here.id)["task data"]
    assert found.status == "FAIL"
    assert f"task {task}" in found.says
    assert found.fix


@pytest.mark.labelstudio
def test_failed_tasks_are_counted(ours: Any, project: Any, client: LabelStudio) -> None:
    from prelabel.errors import ModelError
    from prelabel.runs import Ledger

    here, settings = project(), ours()
    version = connect(settings, client, here.id).model_version
    (task,) = here.import_texts(["good"])
    ledger = Ledger.open(settings)
    known = ledger.connection(here.id)
    assert known is not None
    ledger.plan(version, known, next(client.tasks(here.id)))
    ledger.record([(row, ModelError("it is too good.")) for row in ledger.planned(connection=known.id)])
    ledger.close()
    failures = diagnose(settings, here.id)["failures"]
    assert failures.status == "WARN"
    assert f"1 tasks failed, the last one ({task})" in failures.says
    assert "prelabel jobs failed" in failures.fix


@pytest.mark.labelstudio
def test_a_default_label_studio_refuses_private_addresses_and_the_fix_names_both_switches(
    label_studio: LabelStudioServer, backend: Any, tmp_path: Path
) -> None:
    environment = installing.environment_of(ROOT)
    if not installing.installed(environment):
        pytest.skip("needs a Label Studio of its own, and only a running one was given")
    default = real_label_studio.start(
        environment, tmp_path / "ls", template=installing.template_of(ROOT), port=0, allow_private_backends=False
    )
    try:
        here = default.api.post("/api/projects", json={"title": "default", "label_config": PART}).json()["id"]
        known = {"label_studio_url": default.url, "label_studio_api_key": default.token}
        settings = backend(**known).settings
        with contextlib.closing(LabelStudio(default.url, default.token)) as client:
            with pytest.raises(ConnectError) as raised:
                connect(settings, client, here)
            assert client.backends(here) == []
        assert "private addresses" in raised.value.message
        assert "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false" in raised.value.hint
        found = diagnose(settings, here)
        assert found["Label Studio to us"].status == "FAIL"
    finally:
        default.stop()


# --- the command
@pytest.mark.labelstudio
def test_the_command_ends_with_0_when_all_is_well_and_with_1_when_something_failed(  # noqa: PLR0917 (fixtures)
    label_studio: LabelStudioServer,
    project: Any,
    prelabel_process: Any,
    run_prelabel: Any,
    wait_until: Any,
    tmp_path: Path,
) -> None:
    here = project()
    (tmp_path / "model.py").write_text("def predict(texts: list[str]) -> list[str]:\n    return texts\n")
    up = prelabel_process("up", "model.py:predict", label_studio=label_studio)
    environment = {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
        "PRELABEL_DATA_DIR": str(up.data_dir),
        "PRELABEL_PORT": up.url.rpartition(":")[2],
    }
    assert run_prelabel("connect", "--project", str(here.id), env=environment).returncode == 0
    wait_until(lambda: "connect it" in up.log, what="everything is up")
    well = run_prelabel("doctor", env=environment)
    assert well.returncode == 0, well.stdout
    assert "OK    workers" in well.stdout
    assert "\n0 failed, " in well.stdout
    up.stop()
    ill = run_prelabel("doctor", "--project", str(here.id), env=environment)
    assert ill.returncode == 1
    assert "FAIL  server" in ill.stdout
    assert "fix: Start `prelabel up MODEL`" in ill.stdout
    as_json = run_prelabel("doctor", "--json", env=environment)
    assert as_json.returncode == 1
    assert any(entry["status"] == "FAIL" and entry["fix"] for entry in json.loads(as_json.stdout))
