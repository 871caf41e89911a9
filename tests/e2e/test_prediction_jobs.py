"""`prelabel connect` and `prelabel predict`: register, fill what is missing, replace an older version."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio


def test_connect_then_predict_then_replace_with_a_new_version(
    label_studio: LabelStudioServer, project: Any, prelabel_process: Any, run_prelabel: Any, sentiment_file: Path
) -> None:
    here = project()
    ids = here.import_texts([f"good {number}" for number in range(60)])
    quiet = {"PRELABEL_AUTO_PREDICT": "false", "PRELABEL_MODEL_VERSION": "first"}
    first = prelabel_process("up", f"{sentiment_file}:predict", label_studio=label_studio, env=quiet)
    ours = {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
        "PRELABEL_DATA_DIR": str(first.data_dir),
        "PRELABEL_HOST": "127.0.0.1",
        "PRELABEL_PORT": str(first.port),
    }

    connected = run_prelabel("connect", "--project", str(here.id), env=ours)
    assert connected.returncode == 0, connected.stdout + connected.stderr
    assert [one["url"] for one in here.api.get("/api/ml", params={"project": here.id}).json()] == [first.url]

    filled = run_prelabel("predict", "--project", str(here.id), "--only-missing", env=ours)
    assert filled.returncode == 0, filled.stdout + filled.stderr
    assert Counter((one["task"], one["model_version"]) for one in here.predictions()) == {(i, "first"): 1 for i in ids}

    assert first.stop() == 0
    newer = quiet | {"PRELABEL_MODEL_VERSION": "second"}
    prelabel_process("up", f"{sentiment_file}:predict", label_studio=label_studio, env=newer, port=first.port)
    replaced = run_prelabel("predict", "--project", str(here.id), "--replace", env=ours)
    assert replaced.returncode == 0, replaced.stdout + replaced.stderr
    assert Counter((one["task"], one["model_version"]) for one in here.predictions()) == {(i, "second"): 1 for i in ids}
