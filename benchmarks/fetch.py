"""Images over HTTP, fetched and decoded while the model works: how much longer than the slower of the two alone.

    python benchmarks/fetch.py [--rounds 5] [--tasks 500] [--latency-ms 40] [--peer-tasks 48]

A server in a process of its own answers each image after 40 ms: JPEGs of 1280 x 960 (about 180 kB), and of 480 x 360
(about 35 kB). The model takes 10 ms a call and so much an item that it needs as long for all as fetching and decoding
alone did just before (the hardest case), twice or half as long. It sleeps, as a thread that waits for a GPU does. So
processors are wanted by decoding, HTTP, the disk cache, prelabel itself and the server of images, all on the same
cores, and not by the model: one that computes on those cores cannot be overlapped with decoding on them. The large
images are bound by processors, the small ones by the server's 40 ms (eight threads fetch).

A round measures, in each case, one after the other: fetching and decoding alone (`DataReader.inputs`); both, by
`LocalPredictor.predict` of all tasks at bulk priority, with facts, regions and scores; the model alone in full
batches. The settings are the defaults, the disk cache is new and empty each time, and 500 tasks are what a worker
predicts at once. The ratio is that of both to the slower of the two in that round; the target for its median is 1.15.
Where both take as long, about 1.06 is the best there is: the last batch of 32 can begin only when its images are there.

The peers, in the same rounds: what a model.py of label_studio_ml does inside its predict (label-studio-sdk's
``get_local_path`` and Pillow, one by one, then the model, here in batches of 32 to its favour) for fewer tasks, by the
task; and as many bare threads with requests and Pillow, without cache, guard and limits, against prelabel's fetching.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import requests
from label_studio_sdk._extensions.label_studio_tools.core.utils.io import get_local_path
from PIL import Image

from prelabel.data import DataReader
from prelabel.errors import PrelabelError
from prelabel.labeling import parse
from prelabel.model import InputKind, ModelWrapper
from prelabel.outputs import Choice
from prelabel.predictor import Priority
from prelabel.predictor.local import LocalPredictor
from prelabel.settings import Settings, load_settings
from prelabel.tasks import Task

CALL_S, BATCH, BODIES = 0.010, 32, 12
WIDTHS = {"large": 1280, "small": 480}
CASES = [("large", 1.0), ("large", 2.0), ("large", 0.5), ("small", 1.0)]
CONFIG = parse(
    """<View><Image name="image" value="$image"/><Choices name="kind" toName="image">
<Choice value="Car"/><Choice value="Tree"/></Choices></View>"""
)


# --- the server of images, in a process of its own
def photographs(width: int) -> list[bytes]:
    """JPEGs 4:3 with structure at all scales and grain, about as large as photographs of that size."""
    random, size = np.random.default_rng(0), (width, width * 3 // 4)
    bodies = []
    for _ in range(BODIES):
        picture = np.zeros((size[1], size[0], 3), np.float32)
        for cells in (4, 16, 64, 256):
            noise = Image.fromarray(random.integers(0, 256, (cells * 3 // 4, cells, 3), dtype=np.uint8))
            picture += np.asarray(noise.resize(size, Image.Resampling.BICUBIC), np.float32) / cells**0.5
        picture = picture * (255 / picture.max()) + random.normal(0, 3, picture.shape)
        file = io.BytesIO()
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
        bodies.append(file.getvalue())
    return bodies


async def serve(latency_s: float) -> None:
    """Answer /SIZE/NUMBER.jpg; print the port and the mean sizes; stop when standard input ends."""
    bodies = {size: photographs(width) for size, width in WIDTHS.items()}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                _, size, name = head.split(" ", 2)[1].split("/")
                body = bodies[size][int(name.removesuffix(".jpg")) % BODIES]
                await asyncio.sleep(latency_s)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body))
                writer.write(body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], *(sum(map(len, each)) // BODIES for each in bodies.values()), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


@contextlib.contextmanager
def image_server(latency_ms: float) -> Iterator[tuple[str, dict[str, int]]]:
    """Its address, and the mean size of its images in bytes."""
    command = [sys.executable, __file__, "--serve", "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port, *sizes = map(int, process.stdout.readline().split())
        try:
            yield f"http://127.0.0.1:{port}", dict(zip(WIDTHS, sizes, strict=True))
        finally:
            process.stdin.close()


# --- what is measured
class Sleeping(ModelWrapper):
    """The model."""

    name = "sleeping"
    input = InputKind.IMAGE
    outputs = (Choice,)
    item_s = 0.0

    def predict(self, batch: Sequence[object]) -> list[str]:
        time.sleep(CALL_S + self.item_s * len(batch))
        return ["Car"] * len(batch)


def paced(total_s: float, tasks: int) -> Sleeping:
    """A model that needs so long for all tasks in full batches."""
    model = Sleeping()
    model.item_s = max(0.0, (total_s - CALL_S * -(-tasks // BATCH)) / tasks)
    return model


class Bench:
    """Where the images are, and a directory for caches."""

    def __init__(self, url: str, tasks: int, directory: Path) -> None:
        self.url, self.number, self.directory = url, tasks, directory

    def addresses(self, size: str) -> list[str]:
        return [f"{self.url}/{size}/{at}.jpg" for at in range(self.number)]

    def tasks(self, size: str) -> list[Task]:
        return [Task(at, {"image": url}) for at, url in enumerate(self.addresses(size), 1)]

    def settings(self) -> Settings:
        return load_settings(data_dir=self.empty(), allow_private_addresses=True, max_batch_size=BATCH)

    def empty(self) -> Path:
        for old in self.directory.iterdir():
            shutil.rmtree(old)
        return Path(tempfile.mkdtemp(dir=self.directory))

    def fetching(self, size: str) -> float:
        reader, tasks = DataReader(self.settings()), self.tasks(size)
        began = time.perf_counter()
        for read in reader.inputs(tasks, CONFIG, CONFIG.objects["image"], InputKind.IMAGE):
            if isinstance(read, PrelabelError):
                raise read
        taken = time.perf_counter() - began
        reader.close()
        return taken

    def both(self, size: str, model: Sleeping) -> tuple[float, float]:
        """Seconds, and the mean size of a batch."""
        settings, tasks = self.settings(), self.tasks(size)
        reader = DataReader(settings)
        predictor = LocalPredictor(model, reader, settings)
        predictor.wait_ready(10)
        began = time.perf_counter()
        outcomes = predictor.predict(tasks, CONFIG, priority=Priority.BULK)
        taken = time.perf_counter() - began
        predictor.close()
        reader.close()
        if not all(outcome.prediction and outcome.prediction.result for outcome in outcomes):
            raise SystemExit("a task has no prediction")
        return taken, self.number / sum(predictor.scheduler.stats.sizes.counts)

    def modelling(self, model: Sleeping) -> float:
        began = time.perf_counter()
        for first in range(0, self.number, BATCH):
            model.predict([None] * min(BATCH, self.number - first))
        return time.perf_counter() - began

    def inside_predict(self, size: str, model: Sleeping, number: int) -> float:
        """Seconds a task."""
        cache, addresses = str(self.empty()), self.addresses(size)[:number]
        began = time.perf_counter()
        for first in range(0, number, BATCH):
            images = []
            for address in addresses[first : first + BATCH]:
                with Image.open(get_local_path(address, cache_dir=cache)) as image:  # type: ignore[no-untyped-call]  # theirs
                    images.append(image.convert("RGB"))
            model.predict(images)
        return (time.perf_counter() - began) / number

    def bare_threads(self, size: str) -> float:
        mine = threading.local()

        def one(address: str) -> Image.Image:
            if not hasattr(mine, "session"):
                mine.session = requests.Session()
            with Image.open(io.BytesIO(mine.session.get(address, timeout=10).content)) as image:
                return image.convert("RGB")

        began = time.perf_counter()
        with ThreadPoolExecutor(load_settings().fetch_threads) as pool:
            for _ in pool.map(one, self.addresses(size)):
                pass
        return time.perf_counter() - began


def main() -> None:
    """Measure round after round; the medians of ratios come last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--latency-ms", type=float, default=40.0)
    parser.add_argument("--peer-tasks", type=int, default=48)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.latency_ms / 1000))
        return
    ratios: dict[str, list[float]] = {}
    with image_server(options.latency_ms) as (url, sizes), tempfile.TemporaryDirectory() as directory:
        bench = Bench(url, options.tasks, Path(directory))
        bench.fetching("small")  # imports what is imported late
        for size, each in sizes.items():
            print(f"{size}: {options.tasks} JPEGs of about {each / 1000:.0f} kB")
        for number in range(1, options.rounds + 1):
            for size, factor in CASES:
                fetching = bench.fetching(size)
                model = paced(fetching * factor, options.tasks)
                both, batch = bench.both(size, model)
                alone = bench.modelling(model)
                case = f"{size}, model {factor:g}x as long"
                ratios.setdefault(f"both / the slower: {case}", []).append(both / max(fetching, alone))
                print(
                    f"{number} {case:26} fetch {fetching:5.2f} s  model {alone:5.2f} s  both {both:5.2f} s "
                    f"= {both / max(fetching, alone):.2f}x  batches of {batch:4.1f}  load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
                if factor == 1.0:
                    peer = bench.inside_predict(size, model, options.peer_tasks) * options.tasks
                    ratios.setdefault(f"fetched inside predict / prelabel: {case}", []).append(peer / both)
                    bare = bench.bare_threads(size)
                    ratios.setdefault(f"bare threads / prelabel's fetching: {size}", []).append(bare / fetching)
    for name, found in ratios.items():
        print(f"{name:58} {statistics.median(found):5.2f}  ({min(found):.2f} to {max(found):.2f})")


if __name__ == "__main__":
    main()
