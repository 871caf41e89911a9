"""The doctor: tests the whole set-up, in both directions of the network, and says exactly what to change.

`examine` yields one `Finding` after the other, in the order in which things depend on each other: our own parts first
(settings, database, Redis, workers, server), then Label Studio, then each project. What cannot be tested because
something before it failed is skipped, so that the first FAIL is the one to repair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prelabel.doctor.findings import Finding, Status
from prelabel.doctor.ours import OurParts, workers
from prelabel.doctor.theirs import LabelStudioSide

if TYPE_CHECKING:
    from prelabel.settings import Settings

__all__ = ["Finding", "Status", "examine", "workers"]


def examine(settings: Settings, project: int | None = None) -> Iterator[Finding]:
    """Everything that can be tested with these settings.

    Args:
        settings: as the server and the workers have them.
        project: a project's id; None: every project that the model is connected to, as far as the registry knows.
    """
    ours = OurParts(settings)
    try:
        yield from ours.examine()
        theirs = LabelStudioSide(settings, ours)
        try:
            yield from theirs.examine()
            known = [one.project for one in ours.connections() if one.connected] if project is None else [project]
            for number in dict.fromkeys(known):
                yield from theirs.examine_project(number)
        finally:
            theirs.close()
    finally:
        ours.close()
