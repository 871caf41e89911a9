"""The registry of models and their runs, opened from settings."""

from __future__ import annotations

from pathlib import Path

from prelabel.runs.database import Database, open_database
from prelabel.runs.mask_images import MaskImages
from prelabel.runs.selections import Selections
from prelabel.settings import Settings


class Registry(Selections):
    """Models, runs, data rows, items, imports, metrics; the same database as the ledger's. Safe for threads."""

    @classmethod
    def open(cls, settings: Settings) -> Registry:
        """Open the registry of these settings; it is made or migrated when needed.

        Raises:
            SettingsError: the database cannot be opened.
        """
        return cls(open_database(settings), settings.data_dir / "imports", MaskImages(settings))

    def __init__(self, database: Database, spool_dir: Path, images: MaskImages | None = None) -> None:
        super().__init__(database)
        self.spool_dir = spool_dir
        self.images = images

    def close(self) -> None:
        """Close the database."""
        self.database.close()
