"""What a signal handler may do with an event."""

from __future__ import annotations

import _thread
import contextlib
import threading


def set_event(event: threading.Event) -> None:
    """Set an event from a signal handler.

    ``event.set()`` takes the event's lock. What the handler interrupts in the main thread may hold it (in ``wait``, or
    in the handler of the signal before) and goes on only when the handler has returned: the process would hang for
    good. So another thread sets it. ``threading.Thread`` takes locks of its own when it starts; this does not.
    """
    with contextlib.suppress(RuntimeError):  # the interpreter is ending: nobody waits any more
        _thread.start_new_thread(event.set, ())
