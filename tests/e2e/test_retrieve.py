"""What Label Studio's pages ask for: few tasks are answered at once, many become a job, none gets two predictions."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from prelabel.demo.label_studio import LabelStudioServer

pytestmark = pytest.mark.labelstudio


@pytest.fixture
def waiting_backend(label_studio: LabelStudioServer, prelabel_process: Any, sentiment_file: Path) -> Any:
    """A backend that predicts only what it is asked for."""
    alone = {"PRELABEL_AUTO_PREDICT": "false"}
    return prelabel_process("up", f"{sentiment_file}:predict", label_studio=label_studio, env=alone)


def test_a_few_tasks_are_answered_in_the_call(waiting_backend: Any, project: Any) -> None:
    here = project()
    ids = here.import_texts([f"good {number}" for number in range(10)])
    here.connect(waiting_backend.url)
    assert here.predictions() == []
    assert here.retrieve_predictions().status_code == 200
    assert Counter(one["task"] for one in here.predictions()) == dict.fromkeys(ids, 1)


def test_many_tasks_become_a_job_and_each_gets_one_prediction(waiting_backend: Any, project: Any) -> None:
    here = project()
    ids = here.import_texts([f"good {number}" for number in range(200)])
    here.connect(waiting_backend.url)
    assert here.retrieve_predictions().status_code == 200
    here.wait_for_predictions(len(ids))
    assert Counter(one["task"] for one in here.predictions()) == dict.fromkeys(ids, 1)
    assert here.retrieve_predictions().status_code == 200, "asking again for what is there changes nothing"
    assert Counter(one["task"] for one in here.predictions()) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("apart_s", [0.0, 0.04, 0.12], ids=["at once", "while it is answered", "while it is stored"])
def test_three_people_opening_a_task_leave_one_prediction(waiting_backend: Any, project: Any, apart_s: float) -> None:
    here = project()
    ids = here.import_texts([f"good {number}" for number in range(8)])
    here.connect(waiting_backend.url)

    def open_task(task: int, person: int) -> int:
        time.sleep(person * apart_s)
        return int(here.api.get(f"/api/tasks/{task}", params={"project": here.id}).status_code)

    with ThreadPoolExecutor(3) as people:
        for task in ids:
            assert list(people.map(open_task, [task] * 3, range(3))) == [200, 200, 200]
    assert Counter(one["task"] for one in here.predictions()) == dict.fromkeys(ids, 1)
