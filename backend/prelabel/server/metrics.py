"""Prometheus metrics: one registry per application, the scheduler's numbers read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from prelabel.scheduler import PRIORITIES
from prelabel.scheduler import Histogram as Counted

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from prelabel.encoded import Store
    from prelabel.model import ModelWrapper
    from prelabel.predictor import Predictor
    from prelabel.scheduler import Scheduler

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """What the server counts."""

    def __init__(self, predictor: Predictor) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "prelabel_requests", "Requests answered.", ["endpoint", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "prelabel_request_seconds",
            "Seconds from a request to its answer.",
            ["endpoint"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._tasks = Counter(
            "prelabel_live_tasks",
            "Tasks of /predict, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        ready = Gauge("prelabel_ready", "1 when the model is loaded.", registry=self.registry)
        ready.set_function(lambda: float(predictor.ready))
        scheduler: Scheduler | None = getattr(predictor, "scheduler", None)
        if scheduler is not None:
            self.registry.register(_SchedulerCollector(scheduler))
        if getattr(predictor, "wrapper", None) is not None:
            self.registry.register(_WrapperCollector(predictor))
        encodings: Store | None = getattr(predictor, "encodings", None)
        if encodings is not None:
            self.registry.register(_EncodingsCollector(encodings))
        # children are kept: looking one up by its labels costs more than counting
        self._request_children: dict[tuple[str, int], Counter] = {}
        self._seconds_children: dict[str, Histogram] = {}
        self._task_children: dict[str, Counter] = {}

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one request."""
        counter = self._request_children.get((endpoint, status))
        if counter is None:
            counter = self._request_children[endpoint, status] = self._requests.labels(endpoint, str(status))
        histogram = self._seconds_children.get(endpoint)
        if histogram is None:
            histogram = self._seconds_children[endpoint] = self._seconds.labels(endpoint)
        counter.inc()
        histogram.observe(seconds)

    def tasks(self, outcome: str, count: int = 1) -> None:
        """Count tasks of ``/predict`` by outcome; docs/server.md lists them."""
        counter = self._task_children.get(outcome)
        if counter is None:
            counter = self._task_children[outcome] = self._tasks.labels(outcome)
        counter.inc(count)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)


class _WrapperCollector(Collector):
    """What the model counts itself: `ModelWrapper.counters`."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        wrapper: ModelWrapper | None = getattr(self._predictor, "wrapper", None)  # training may replace it
        for name, (text, value) in wrapper.counters().items() if wrapper is not None else ():
            yield CounterMetricFamily(f"prelabel_{name}", text, value=value)


class _SchedulerCollector(Collector):
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        stats = self._scheduler.stats
        items = CounterMetricFamily("prelabel_items", "Items that the model answered.", labels=["priority"])
        queued = GaugeMetricFamily("prelabel_queued_items", "Items waiting for the model.", labels=["priority"])
        waits = HistogramMetricFamily(
            "prelabel_wait_seconds", "Seconds an item waited for its micro-batch.", labels=["priority"]
        )
        for name, count, waiting, wait in zip(
            PRIORITIES, stats.items, self._scheduler.queued(), stats.waits_s, strict=True
        ):
            items.add_metric([name], count)
            queued.add_metric([name], waiting)
            waits.add_metric([name], _buckets(wait), wait.total)
        yield items
        yield queued
        yield waits
        for name, text, value in (
            ("prelabel_items_failed", "Items that failed alone.", stats.failed),
            ("prelabel_items_dropped", "Items dropped before the model: deadline, client gone.", stats.dropped),
            ("prelabel_items_refused", "Items refused because too many waited.", stats.refused),
            ("prelabel_batches_halved", "Micro-batches that failed and were halved.", stats.retried_batches),
            ("prelabel_memory_errors", "Micro-batches that ran out of memory.", stats.memory_errors),
        ):
            yield CounterMetricFamily(name, text, value=value)
        yield GaugeMetricFamily(
            "prelabel_batch_limit", "Most items in one call of the model.", value=self._scheduler.batch_limit
        )
        sizes = HistogramMetricFamily("prelabel_batch_items", "Items in one call of the model.")
        sizes.add_metric([], _buckets(stats.sizes), stats.sizes.total)
        yield sizes
        seconds = HistogramMetricFamily("prelabel_model_seconds", "Seconds of one call of the model.")
        seconds.add_metric([], _buckets(stats.model_s), stats.model_s.total)
        yield seconds


class _EncodingsCollector(Collector):
    """What interactive models keep of the tasks that people have open (`prelabel.encoded`)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        counts = self._store.counts
        asked = CounterMetricFamily(
            "prelabel_encodings", "Encodings asked for: hit, when kept already; miss, when made.", labels=["outcome"]
        )
        asked.add_metric(["hit"], counts.hits)
        asked.add_metric(["miss"], counts.misses)
        yield asked
        yield CounterMetricFamily(
            "prelabel_encodings_evicted", "Encodings given up for newer ones.", value=counts.evicted
        )
        yield CounterMetricFamily(
            "prelabel_encodings_too_large", "Encodings too large to be kept.", value=counts.too_large
        )
        yield GaugeMetricFamily("prelabel_encodings_kept", "Encodings kept now.", value=len(self._store))
        yield GaugeMetricFamily("prelabel_encodings_bytes", "Memory that they take.", value=self._store.bytes)


def _buckets(counted: Counted) -> list[tuple[str, float]]:
    found, below = [], 0
    for bound, count in zip((*counted.bounds, float("inf")), counted.counts, strict=True):
        below += count
        found.append(("+Inf" if bound == float("inf") else str(float(bound)), float(below)))
    return found
