"""The variables of Label Studio's images that models' files read by themselves, often while they are imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prelabel.settings import Settings


def tell(settings: Settings) -> None:
    """Set what the settings know and the environment does not: Label Studio's address and key. Before any file is run.

    ``LABEL_STUDIO_HOST`` and ``LABEL_STUDIO_URL`` are two names of the address. The directory ``MODEL_DIR`` is made.
    """
    directory = os.environ.get("MODEL_DIR")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
    known = {"LABEL_STUDIO_URL": settings.label_studio_url, "LABEL_STUDIO_HOST": settings.label_studio_url}
    if settings.label_studio_api_key is not None:
        known["LABEL_STUDIO_API_KEY"] = settings.label_studio_api_key.get_secret_value()
    for name, value in known.items():
        if value:
            os.environ.setdefault(name, value)
