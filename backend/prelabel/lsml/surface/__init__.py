"""What files import as `label_studio_ml` where that package is not installed: its public names, in our own words."""

from __future__ import annotations

__version__ = "2.0.1.dev0+prelabel"
"""Above every release, so that a file which asks for today's form finds it."""
