"""A module of PyTorch out of a Python file: what the class or function of a name there makes."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from prelabel.errors import ModelLoadError


def made_module(file: Path, maker: str) -> Any:
    """What ``maker()`` of the file makes; its directory is importable, as with ``python file.py``.

    Raises:
        ModelLoadError: the file has nothing of that name, or it makes no module.
    """
    path = file.expanduser().resolve()
    name = f"prelabel_module_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelLoadError(f"{file} is not a Python file.", hint="Give --opt model=file.py:Name.")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found = getattr(module, maker, None)
    if not callable(found):
        there = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise ModelLoadError(f"{file} has no {maker}.", hint=f"It has {', '.join(there) or 'nothing to call'}.")
    made = found()
    if not hasattr(made, "load_state_dict"):
        raise ModelLoadError(
            f"{maker}() of {file} makes {type(made).__name__}, which is no torch.nn.Module.",
            hint="Name a class or function without arguments that makes the module.",
        )
    return made
