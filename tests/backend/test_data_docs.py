"""What people can say to models and data is documented: annotations, hooks, options, settings."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from prelabel.data.fetch import CLOUD_SCHEMES
from prelabel.loader import BUILT_IN
from prelabel.settings import Settings
from prelabel_wrappers.callable import ANNOTATIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_annotation_is_documented() -> None:
    said = (DOCS / "your-model.md").read_text(encoding="utf-8")
    for annotation in re.findall(r"^  (list\[\S+(?: \S+\])?\]*)  ", ANNOTATIONS, flags=re.MULTILINE):
        assert f"`{annotation}`" in said, annotation


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_wrapper_and_each_of_its_options_is_documented(name: str) -> None:
    said = (DOCS / "wrappers.md").read_text(encoding="utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    module, _, made = BUILT_IN[name].partition(":")
    for option in inspect.signature(getattr(importlib.import_module(module), made)).parameters:
        assert f"`{option}`" in said, option


def test_every_setting_of_task_data_is_documented() -> None:
    said = (DOCS / "data.md").read_text(encoding="utf-8")
    for setting in ("cache_bytes", "fetch_threads", "fetch_timeout_s", "fetch_max_bytes", "local_files_root"):
        assert setting in Settings.model_fields
        assert f"`{setting}`" in said
    assert all(f"`{scheme}://`" in said for scheme in CLOUD_SCHEMES if scheme in {"s3", "gs", "azure-blob"})
