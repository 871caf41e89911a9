"""Concurrent requests to micro-batches on one loaded model.

One thread owns the model: it loads it, calls it and unloads it. Requests open a `Ticket`, put their items and wait; the
thread takes the most urgent items that are queued, at most ``max_batch_size`` of them, and calls the model once.

* Priorities overtake between micro-batches. A micro-batch of interactive items holds nothing else, so an interactive
  request waits for at most the micro-batch that runs when it comes, and then for a short one. Live micro-batches are
  filled up with bulk items.
* A lone request never waits. A micro-batch that is not full waits up to ``batch_wait_s`` only while items are known
  to be on their way: announced by a ticket, not yet put.
* A failing micro-batch is halved until the culprit stands alone. Running out of memory halves it too, and the size
  that works is remembered.
* Items whose deadline has passed, whose client has gone, or whose ticket was closed never reach the model.
"""

from prelabel.scheduler.failures import is_out_of_memory
from prelabel.scheduler.loop import Engine, Scheduler
from prelabel.scheduler.stats import PRIORITIES, Histogram, Stats
from prelabel.scheduler.tickets import Answer, Ticket

__all__ = ["PRIORITIES", "Answer", "Engine", "Histogram", "Scheduler", "Stats", "Ticket", "is_out_of_memory"]
