"""`label_studio_ml.utils`: small functions that models' files import."""

from __future__ import annotations

import difflib
import math
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from label_studio_sdk._extensions.label_studio_tools.core.utils.io import get_local_path
from label_studio_sdk._extensions.label_studio_tools.core.utils.params import get_env

__all__ = [
    "DATA_UNDEFINED_NAME",
    "InMemoryLRUDictCache",
    "compare_nested_structures",
    "get_choice",
    "get_env",
    "get_first_tag_keys",
    "get_image_local_path",
    "get_image_size",
    "get_local_path",
    "get_single_tag_keys",
    "is_preload_needed",
    "is_skipped",
    "is_valid_url",
    "match_labels",
]

DATA_UNDEFINED_NAME = "$undefined$"
"""The data field of a task imported as a bare value."""
CLOUD = ("s3:", "gs:", "azure-blob:")

Parsed = Mapping[str, Mapping[str, Any]]
"""A labeling config as `label_studio_sdk` parses it: what is known of each control tag, by its name."""


def get_single_tag_keys(parsed_label_config: Parsed, control_type: str, object_type: str) -> tuple[str, str, str, Any]:
    """``(from_name, to_name, data field, labels)`` of a config that has one control on one object.

    Raises:
        AssertionError: it has others, as the package says it.
    """
    if len(parsed_label_config) != 1:
        raise AssertionError(f"the labeling config must have one control tag, not {len(parsed_label_config)}")
    ((name, info),) = parsed_label_config.items()
    if info["type"] != control_type:
        raise AssertionError(f"the labeling config has <{info['type']}>, and this model needs <{control_type}>")
    shown = info["inputs"]
    if len(info["to_name"]) != 1 or len(shown) != 1 or shown[0]["type"] != object_type:
        raise AssertionError(f"<{control_type}> must be on one <{object_type}>")
    return name, info["to_name"][0], shown[0]["value"], info["labels"]


def get_first_tag_keys(
    parsed_label_config: Parsed, control_type: str, object_type: str
) -> tuple[str | None, Mapping[str, Any] | None]:
    """Name of the first such control on such an object, and what is known of it; (None, None) where there is none."""
    for name, info in parsed_label_config.items():
        if info["type"] == control_type and any(shown["type"] == object_type for shown in info["inputs"]):
            return name, info
    return None, None


def is_skipped(completion: Mapping[str, Any]) -> bool:
    """Whether the only annotation of a task was skipped."""
    annotations = completion["annotations"]
    return len(annotations) == 1 and bool(annotations[0].get("skipped") or annotations[0].get("was_cancelled"))


def get_choice(completion: Mapping[str, Any]) -> Any:
    """The first choice of a task's first annotation."""
    return completion["annotations"][0]["result"][0]["value"]["choices"][0]


def get_image_local_path(  # noqa: PLR0917 (the package's order)
    url: str,
    image_cache_dir: str | None = None,
    project_dir: str | None = None,
    image_dir: str | None = None,
    label_studio_host: str | None = None,
    label_studio_access_token: str | None = None,
    task_id: int | None = None,
) -> str:
    """A local copy of an image; label-studio-sdk fetches it."""
    fetch: Callable[..., Any] = get_local_path
    found: str = fetch(
        url,
        cache_dir=image_cache_dir,
        project_dir=project_dir,
        hostname=label_studio_host,
        image_dir=image_dir,
        access_token=label_studio_access_token,
        task_id=task_id,
    )
    return found


def get_image_size(filepath: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of an image as it is seen, turned as EXIF says."""
    from PIL import Image, ImageOps  # noqa: PLC0415 (only models of images need it)

    with Image.open(filepath) as image:
        return ImageOps.exif_transpose(image).size


class InMemoryLRUDictCache:
    """The last ``capacity`` values; the one used least recently goes first."""

    def __init__(self, capacity: int = 1) -> None:
        self.cache: OrderedDict[Hashable, Any] = OrderedDict()
        self.capacity = capacity

    def __contains__(self, key: Hashable) -> bool:
        return key in self.cache

    def get(self, key: Hashable) -> Any:
        """The value, used now; None where there is none."""
        if key not in self.cache:
            return None
        self.cache.move_to_end(key)
        return self.cache[key]

    def put(self, key: Hashable, value: Any) -> None:
        """Keep a value."""
        self.cache[key] = value
        self.cache.move_to_end(key)
        while len(self.cache) > self.capacity:
            self.cache.popitem(last=False)

    def __str__(self) -> str:
        return str(self.cache)


def match_labels(text: str, labels: Sequence[str]) -> list[str]:
    """For each line of a text the label most like it."""
    return [
        max(labels, key=lambda label: difflib.SequenceMatcher(None, line, label).ratio()) for line in text.splitlines()
    ]


def is_valid_url(path: str) -> bool:
    """Whether it has a scheme and a host."""
    try:
        parts = urlsplit(path)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def is_preload_needed(url: str) -> bool:
    """Whether a text stands for a file: an upload, a file of a storage, a URL.

    Not a path of this machine: whoever writes task data could read any file by it.
    """
    if url.startswith(("upload/", "/upload/", "/data/upload", *CLOUD)) or is_valid_url(url):
        return True
    return url.startswith("/data/") and "?d=" in url


def compare_nested_structures(a: Any, b: Any, path: str = "", rel: float = 1e-4, abs: float | None = None) -> None:  # noqa: A002 (the package's)
    """Assert that two structures of JSON are alike; decimal numbers may differ a little.

    Raises:
        AssertionError: they are not; it says where.
    """
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            compare_nested_structures(a[key], b[key], f"{path}.{key}", rel, abs)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, pair in enumerate(zip(a, b, strict=True)):
            compare_nested_structures(*pair, f"{path}[{index}]", rel, abs)
    else:
        decimal = isinstance(a, float) and isinstance(b, float)
        if not (math.isclose(a, b, rel_tol=rel, abs_tol=abs or 1e-12) if decimal else a == b):
            raise AssertionError(f"Mismatch at {path}")
