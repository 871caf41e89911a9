"""`prelabel.Client`'s imports: how far one is, and what became of each of its lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from prelabel.errors import NotFoundError
from prelabel.runs.held import ImportRow, ImportState, RowStatus

if TYPE_CHECKING:
    from prelabel.client import Client

SHOW_EVERY_S = 1.0

Pages = Callable[[int, int], list[RowStatus]]
"""Statuses after a position, so many at most."""
PAGE = 1000


class Statuses(Sequence[RowStatus]):
    """Statuses of an import's lines in their order, read a page at a time when they are looked at.

    Args:
        pages: reads them.
        count: how many there are.
        failed_only: only of lines that were refused; then positions have gaps.
    """

    def __init__(self, pages: Pages, count: int, *, failed_only: bool) -> None:
        self._pages = pages
        self._count = count
        self._failed_only = failed_only

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[RowStatus]:
        after = -1
        while page := self._pages(after, PAGE):
            yield from page
            after = page[-1].position

    @overload
    def __getitem__(self, index: int) -> RowStatus: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[RowStatus]: ...

    def __getitem__(self, index: int | slice) -> RowStatus | Sequence[RowStatus]:
        if isinstance(index, slice):
            return list(self)[index]
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError(index)
        if self._failed_only:
            return next(status for number, status in enumerate(self) if number == place)
        return self._pages(place - 1, 1)[0]

    def __repr__(self) -> str:
        return f"<{self._count} statuses>"


class Import:
    """An import of predictions or labels into a run. It goes on by itself; what is done survives the process.

    ``FINISHED`` says that all lines were looked at; lines that were refused are in `errors`.
    """

    def __init__(self, client: Client, number: int) -> None:
        self._client = client
        self._number = number

    @property
    def row(self) -> ImportRow:
        """All that is known of it now."""
        return self._client.registry.import_row(self._number)

    @property
    def name(self) -> str:
        """Its name, unique in the run."""
        return self.row.name

    @property
    def state(self) -> ImportState:
        """``RUNNING``, ``FINISHED`` or ``FAILED``."""
        return self.row.state

    @property
    def progress(self) -> str:
        """As Labelbox has it: ``"40%"``."""
        row = self.row
        return f"{100 * row.position // row.total}%" if row.total else "100%"

    @property
    def error(self) -> str | None:
        """Why it ``FAILED``; None else."""
        return self.row.error

    @property
    def statuses(self) -> Statuses:
        """What became of each line; waits for the end."""
        row = self.wait_till_done()
        return Statuses(self._pages(failed_only=False), row.position, failed_only=False)

    @property
    def errors(self) -> Statuses:
        """Statuses of the lines that were refused, with the reasons; waits for the end."""
        row = self.wait_till_done()
        return Statuses(self._pages(failed_only=True), row.failed, failed_only=True)

    @property
    def inputs(self) -> Iterator[dict[str, Any]]:
        """The lines as they were given, for a day after the end.

        Raises:
            NotFoundError: they are gone.
        """
        row = self.row
        if row.spool is None or not row.is_here:
            raise NotFoundError(
                f"the lines of import {row.name!r} are gone.",
                hint="They are kept for a day; `run.export` has what was accepted.",
            )
        with Path(row.spool).open("rb") as file:
            for line in file:
                yield json.loads(line)

    def wait_till_done(self, sleep_time_seconds: float = 10.0, *, show_progress: bool = False) -> ImportRow:
        """Wait until it is ``FINISHED`` or ``FAILED``, and go on with it where nobody else does."""
        every = min(sleep_time_seconds, SHOW_EVERY_S) if show_progress else sleep_time_seconds
        with _shown() if show_progress else _silent() as show:
            while True:
                row = self.row
                show(row)
                if row.state != "RUNNING" or self._client.stopping.is_set():
                    return row
                self._wait(every)

    wait_until_done = wait_till_done

    def resume(self) -> None:
        """Go on where it stands: after the process that ran it was killed, or after it ``FAILED``."""
        self._client.registry.retry_import(self._number)
        self._client.run_in_background(self._number)

    def __repr__(self) -> str:
        row = self.row
        return f"Import({row.name!r}, {row.state}, {row.position} of {row.total})"

    # -- parts

    def _pages(self, *, failed_only: bool) -> Pages:
        registry = self._client.registry
        return lambda after, limit: registry.statuses(self._number, failed_only=failed_only, after=after, limit=limit)

    def _wait(self, longest_s: float) -> None:
        """Wait for its thread; begin one where nobody has it."""
        if self._client.join_import(self._number, longest_s):
            row = self.row
            if row.state == "RUNNING":
                if row.is_here:
                    self._client.run_in_background(self._number)
                else:  # another machine's
                    time.sleep(min(longest_s, SHOW_EVERY_S))


@contextmanager
def _silent() -> Iterator[Callable[[ImportRow], None]]:
    yield lambda _row: None


@contextmanager
def _shown() -> Iterator[Callable[[ImportRow], None]]:
    """A bar on a terminal, a line at the end elsewhere."""
    from rich.console import Console  # noqa: PLC0415 (for those who look)
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    last: ImportRow | None = None
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None)

        def show(row: ImportRow) -> None:
            nonlocal last
            last = row
            refused = f", {row.failed} refused" if row.failed else ""
            progress.update(bar, description=escape(f"{row.name}{refused}"), total=row.total, completed=row.position)

        yield show
    if last is not None and not console.is_terminal:
        print(f"{last.name}: {last.position} of {last.total}, {last.failed} refused", file=sys.stderr)
