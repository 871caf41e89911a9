"""Names that models' files import and that label-studio-sdk has moved: its own, and those of packages it took in.

``label-studio-tools`` and ``label-studio-converter`` came with `label_studio_ml` once; what they offered stands in
label-studio-sdk now. A name that is installed is never touched.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from prelabel.lsml.given import Given

MOVED = {
    "label_studio_sdk.objects": "label_studio_sdk.label_interface.objects",
    "label_studio_tools": "label_studio_sdk._extensions.label_studio_tools",
    "label_studio_converter": "label_studio_sdk.converter",
}
"""Where each stands now."""


class MovedFinder(MetaPathFinder):
    """Finds a moved module, and what is in it, under its old name: the same module under two names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        old = next((name for name in MOVED if fullname == name or fullname.startswith(f"{name}.")), None)
        if old is None:
            return None
        if fullname == old:
            if PathFinder.find_spec(fullname, path) is not None:
                return None
        elif not getattr(sys.modules.get(old), "__name__", old).startswith(MOVED[old]):
            return None
        try:
            module = importlib.import_module(MOVED[old] + fullname[len(old) :])
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.startswith("label_studio_sdk"):
                return None
            raise
        return ModuleSpec(fullname, Given(module), is_package=hasattr(module, "__path__"))
