"""A small YOLO of Ultralytics that tells squares from discs: trained here in about a minute, and exported.

Run as a program, it makes the files in a directory: what Ultralytics changes in its process (threads, variables,
settings) stays there. Nothing is downloaded. Ultralytics is AGPL-3.0: only the slow tests use it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 128
NAMES = ("square", "disc")
COLOURS = ((220, 40, 40), (40, 80, 230))
TASKS = ("seg", "pose", "obb")
"""Networks that take over what the detector learnt; what they add to its boxes (masks, points, angles) is random."""
Thing = tuple[int, tuple[int, int, int, int]]
"""The class of an object, and its two corners in pixels."""


def scenes(seed: int, *, most: int = 3) -> Iterator[tuple[Image.Image, list[Thing]]]:
    """Pictures without end: squares and discs before bricks, grass and gravel, and where they are."""
    from skimage import data

    textures = [data.brick(), data.grass(), data.gravel()]
    chance = np.random.default_rng(seed)
    while True:
        left, top = chance.integers(0, 512 - SIDE, 2)
        texture = textures[chance.integers(3)][top : top + SIDE, left : left + SIDE]
        picture = Image.fromarray(texture).convert("RGB")
        things: list[Thing] = []
        for _ in range(int(chance.integers(1, most + 1))):
            width, height = chance.integers(28, 56, 2).tolist()
            x, y = int(chance.integers(2, SIDE - width - 2)), int(chance.integers(2, SIDE - height - 2))
            if any(x < b[2] and b[0] < x + width and y < b[3] and b[1] < y + height for _, b in things):
                continue
            kind = int(chance.integers(2))
            pen = ImageDraw.Draw(picture)
            draw = pen.ellipse if kind else pen.rectangle
            draw((x, y, x + width - 1, y + height - 1), fill=COLOURS[kind])
            things.append((kind, (x, y, x + width, y + height)))
        yield picture, things


def made(models: Path, name: str = "detect") -> Path:
    """The directory with ``detect.pt`` (or a network of `TASKS`) and its exports, made when they are not there.

    Raises:
        RuntimeError: they could not be made, now or the last time.
    """
    into = models / "yolo"
    if name != "detect":
        made(models)
    done, failed = into / f"{name}.done", into / f"{name}.failed"
    if failed.exists():
        raise RuntimeError(failed.read_text())
    if done.exists():
        return into
    into.mkdir(exist_ok=True)
    failed.write_text(f"{name} was not finished")
    kept = {"YOLO_CONFIG_DIR": str(into), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, str(into), name],
        env={**os.environ, **kept}, cwd=into, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    if ran.returncode:
        failed.write_text(ran.stderr[-3000:])
        raise RuntimeError(ran.stderr[-3000:])
    failed.unlink()
    done.touch()
    return into


def main(into: Path, name: str) -> None:
    """Train ``detect.pt``, or make another network of it, and export it."""
    import torch
    import ultralytics

    torch.set_num_threads(os.cpu_count() or 1)
    if name == "detect":
        _trained(into, ultralytics).save(into / "detect.pt")
    else:
        _grown(ultralytics.YOLO(str(into / "detect.pt")), name, ultralytics).save(into / f"{name}.pt")
    _export(into / f"{name}.pt", into / f"{name}-nms.onnx", "onnx", nms=True)
    _export(into / f"{name}.pt", into / f"{name}.onnx", "onnx", dynamic=True)
    if name in {"detect", "seg"}:
        _export(into / f"{name}.pt", into / f"{name}-nms.torchscript", "torchscript", nms=True)
        _export(into / f"{name}.pt", into / f"{name}.torchscript", "torchscript")
        if importlib.util.find_spec("litert_torch") is not None:
            _export(into / f"{name}.pt", into / f"{name}.tflite", "litert")


def _trained(into: Path, ultralytics: object) -> object:
    data = into / "data"
    for folder in ("images", "labels"):
        (data / folder).mkdir(parents=True)
    for number, (picture, things) in zip(range(160), scenes(0), strict=False):
        picture.save(data / "images" / f"{number}.png")
        rows = [
            f"{kind} {(x1 + x2) / 2 / SIDE} {(y1 + y2) / 2 / SIDE} {(x2 - x1) / SIDE} {(y2 - y1) / SIDE}\n"
            for kind, (x1, y1, x2, y2) in things
        ]
        (data / "labels" / f"{number}.txt").write_text("".join(rows))
    told = f"path: {data}\ntrain: images\nval: images\nnames: {dict(enumerate(NAMES))}\n"
    (data / "data.yaml").write_text(told)
    network = ultralytics.YOLO("yolo11n.yaml")
    network.train(
        data=str(data / "data.yaml"), epochs=12, imgsz=SIDE, batch=8, device="cpu", workers=0, seed=0, cache="ram",
        optimizer="AdamW", lr0=0.002, warmup_epochs=0.5, amp=False, mosaic=0.0, scale=0.2, translate=0.05, hsv_h=0.0,
        erasing=0.0, val=False, plots=False, verbose=False, project=str(into / "runs"), name="detect",
    )  # fmt: skip
    return ultralytics.YOLO(str(into / "runs" / "detect" / "weights" / "last.pt"))


def _grown(network: object, task: str, ultralytics: object) -> object:
    import torch
    from ultralytics.nn import tasks

    torch.manual_seed(0)
    grown = ultralytics.YOLO(f"yolo11n-{task}.yaml")
    kind = {"seg": tasks.SegmentationModel, "pose": tasks.PoseModel, "obb": tasks.OBBModel}[task]
    model = kind(f"yolo11n-{task}.yaml", nc=len(NAMES), verbose=False)
    model.load(network.model)
    model.names, model.args, model.task = dict(enumerate(NAMES)), grown.model.args, grown.task
    grown.model = model
    return grown


def _export(source: Path, into: Path, kind: str, **options: bool) -> None:
    import ultralytics

    simplify = {"simplify": False} if kind == "onnx" else {}
    written = ultralytics.YOLO(str(source)).export(
        format=kind, imgsz=SIDE, device="cpu", verbose=False, **options, **simplify
    )
    Path(written).replace(into)


def placed(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A scene in the middle of a grey picture of this size, (width, height), as large as fits."""
    side = min(size)
    whole = Image.new("RGB", size, (120, 120, 110))
    whole.paste(picture.resize((side, side)), ((size[0] - side) // 2, (size[1] - side) // 2))
    return whole


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes of two corners."""
    across, down = (min(one[2 + at], other[2 + at]) - max(one[at], other[at]) for at in (0, 1))
    common = max(across, 0) * max(down, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
