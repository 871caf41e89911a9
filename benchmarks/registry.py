"""A run with many small predictions: import rate, metrics, first page, and memory at two sizes.

    python benchmarks/registry.py --predictions 1000000
    python benchmarks/registry.py --predictions 1000000 --database-url postgresql://...

Each size runs in a process of its own, so that its peak memory is its own. Ten boxes of two classes stand on each data
row, half of the data rows are labeled with ten boxes each. Prints one JSON object for each size.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prelabel.client import Client
from prelabel.settings import load_settings

ON_A_ROW = 10
ONTOLOGY = {
    "tools": [{"tool": "rectangle", "name": "cat"}, {"tool": "rectangle", "name": "dog"}],
    "classifications": [],
}


def lines(count: int, prefix: str, seed: int, *, scored: bool) -> Iterator[dict[str, Any]]:
    """Boxes, ten on each data row, one data row after the other."""
    dice = random.Random(seed)
    for number in range(count):
        bbox = {"top": dice.randint(0, 900), "left": dice.randint(0, 900), "height": 100, "width": 100}
        row = {"dataRow": {"globalKey": f"row-{number // ON_A_ROW}"}, "uuid": f"{prefix}-{number}", "bbox": bbox}
        row["name"] = dice.choice(("cat", "dog"))
        yield row | ({"confidence": round(dice.random(), 4)} if scored else {})


def timed(found: dict[str, Any], what: str, began: float) -> float:
    """Write a duration down; the time now."""
    now = time.perf_counter()
    found[what] = round(now - began, 3)
    return now


def measure(count: int, folder: Path, database_url: str | None) -> dict[str, Any]:
    """All numbers of one size; times in seconds, memory in MiB."""
    found: dict[str, Any] = {"predictions": count, "data_rows": count // ON_A_ROW}
    with Client(load_settings(data_dir=folder, database_url=database_url)) as client:
        file = folder / "predictions.ndjson"
        with file.open("w") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines(count, "p", 1, scored=True))
        began = time.perf_counter()
        client.import_data_rows(
            "rows",
            (
                {"row_data": f"http://x/{n}.jpg", "global_key": f"row-{n}", "media_type": "image"}
                for n in range(count // ON_A_ROW)
            ),
        )
        name = f"v-{count}"
        run = client.create_model(f"m-{count}", client.create_ontology(ONTOLOGY)).create_model_run(name)
        run.upsert_data_rows(global_keys=(f"row-{n}" for n in range(count // ON_A_ROW)))
        began = timed(found, "data_rows_s", began)
        job = run.add_predictions("import", file)
        began = timed(found, "spooling_s", began)
        job.wait_till_done(60)
        began = timed(found, "import_s", began)
        found["import_rows_per_s"] = round(count / (found["spooling_s"] + found["import_s"]))
        assert (job.state, len(job.errors)) == ("FINISHED", 0), job
        began = time.perf_counter()
        run.upsert_labels(lines(count // 2, "a", 2, scored=False))
        began = timed(found, "labels_s", began)
        first = run.metrics()
        began = timed(found, "first_metrics_s", began)
        run.metrics(confidence=0.7, iou=0.3)
        began = timed(found, "metrics_at_other_thresholds_s", began)
        run.upsert_labels(lines(ON_A_ROW, "z", 3, scored=False))
        began = timed(found, "one_label_changed_s", began)
        run.metrics()
        began = timed(found, "metrics_after_that_s", began)
        page = run.items(100)
        began = timed(found, "first_page_s", began)
        run.items(100, page.after)
        began = timed(found, "second_page_s", began)
        run.items(100, order="confidence")
        began = timed(found, "least_confident_page_s", began)
        run.items(100, feature="dog")
        began = timed(found, "page_of_a_class_s", began)
        run.export("ndjson", folder / "out.ndjson")
        began = timed(found, "export_ndjson_s", began)
        found["tp_fp_fn"] = [first.run.tp, first.run.fp, first.run.fn]
    found["peak_memory_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    database = folder / "prelabel.sqlite3"
    found["database_mib"] = round(database.stat().st_size / 2**20) if database.exists() else None
    return found


def main() -> None:
    """Measure a tenth and the whole, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--database-url", help="default: SQLite in a temporary directory")
    parser.add_argument("--one", action="store_true", help="only this size, in this process")
    given = parser.parse_args()
    if given.one:
        with tempfile.TemporaryDirectory(prefix="prelabel-registry-") as folder:
            print(json.dumps(measure(given.predictions, Path(folder), given.database_url)), flush=True)
        return
    for count in (given.predictions // 10, given.predictions):
        command = [sys.executable, __file__, "--one", "--predictions", str(count)]
        command += ["--database-url", given.database_url] if given.database_url else []
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
