"""Our own parts: settings, database, Redis, workers, and the server that owns the model."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from prelabel.doctor.findings import Finding, fail, ok, skip, warn
from prelabel.errors import AuthError, PrelabelError, QueueError
from prelabel.settings import unknown_variables

if TYPE_CHECKING:
    from prelabel.labeling import Fit, LabelingConfig
    from prelabel.predictor.remote import RemotePredictor
    from prelabel.queue import JobQueue
    from prelabel.runs import Connection, Ledger
    from prelabel.settings import Settings

HEALTH_LIMIT_S = 1.0
"""What Label Studio allows ``/health``."""
PREDICT_LIMIT_S = 100.0
"""What Label Studio allows ``/predict``."""
PREDICT_MARGIN_S = 10.0
SILENT_S = 500.0
"""A worker that gave no sign of life for so long is dead: RQ's own limit is a little less."""


class OurParts:
    """Opens our parts one by one; those that cannot be opened stay None."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ledger: Ledger | None = None
        self.queue: JobQueue | None = None
        self.server: RemotePredictor | None = None
        self.model: dict[str, Any] = {}
        """What the server says of its model; empty where no server answers."""

    def close(self) -> None:
        """Close what was opened."""
        for part in (self.server, self.queue, self.ledger):
            if part is not None:
                part.close()

    def connections(self) -> list[Connection]:
        """The projects of the server's model; of all models where no server said which it has."""
        return self.ledger.connections(self.model.get("name")) if self.ledger is not None else []

    def examine(self) -> Iterator[Finding]:
        """Test all of them."""
        yield from self._settings()
        yield self._data_dir()
        yield self._database()
        yield self._redis()
        yield self._workers()
        yield from self._server()

    def _settings(self) -> Iterator[Finding]:
        unknown = unknown_variables()
        for name, nearest in unknown.items():
            meant = f"Did you mean {nearest}? " if nearest else ""
            yield warn("settings", f"{name} is no setting and has no effect.", f"{meant}See docs/settings.md.")
        if not unknown:
            yield ok("settings", "Every PRELABEL_ variable is a setting.")
        deadline = self.settings.predict_deadline_s
        if deadline > PREDICT_LIMIT_S - PREDICT_MARGIN_S:
            yield warn(
                "timeouts",
                f"/predict may take {deadline:g} s, and Label Studio hangs up after {PREDICT_LIMIT_S:g} s.",
                "Set PRELABEL_PREDICT_DEADLINE_S=60; what is not ready by then goes to the workers.",
            )
        else:
            yield ok("timeouts", f"/predict answers within {deadline:g} s; Label Studio waits {PREDICT_LIMIT_S:g} s.")

    def _data_dir(self) -> Finding:
        directory = self.settings.data_dir
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return fail(
                "data directory", f"{directory} cannot be made: {error.strerror}.", "Choose one with --data-dir."
            )
        if not os.access(directory, os.W_OK):
            return fail("data directory", f"{directory} cannot be written.", "chown it, or choose one with --data-dir.")
        return ok("data directory", f"{directory}")

    def _database(self) -> Finding:
        from prelabel.runs import Ledger  # noqa: PLC0415 (SQLAlchemy is slow to import)

        try:
            self.ledger = Ledger.open(self.settings)
            known = len({(one.instance, one.project) for one in self.ledger.connections()})
        except PrelabelError as error:
            return fail("database", error.message, error.hint or "Check PRELABEL_DATABASE_URL.")
        kind = self.settings.effective_database_url.partition(":")[0]
        return ok("database", f"{kind}; it knows {known} project{'' if known == 1 else 's'}.")

    def _redis(self) -> Finding:
        if self.ledger is None:
            return skip("Redis", "needs the database.")
        from redis import RedisError  # noqa: PLC0415 (slow to import)

        from prelabel.queue import JobQueue  # noqa: PLC0415 (slow to import)

        try:
            self.queue = JobQueue.open(self.settings, self.ledger)
            version = self.queue.redis.client.info("server")["redis_version"]
        except PrelabelError as error:
            return fail("Redis", error.message, error.hint or "Check PRELABEL_REDIS_URL.")
        except RedisError as error:
            if self.queue is not None:
                self.queue.close()
                self.queue = None
            return fail(
                "Redis",
                f"it cannot be reached ({error}).",
                "Start it, or check PRELABEL_REDIS_URL; with none, prelabel starts one of its own.",
            )
        where = "given by redis_url" if self.settings.redis_url else "embedded in the data directory"
        return ok("Redis", f"{version}, {where}.")

    def _workers(self) -> Finding:
        if self.queue is None:
            return skip("workers", "needs Redis.")
        alive = workers(self.queue)
        if not alive:
            return fail(
                "workers",
                "none is alive, so nothing is predicted in bulk and imports are not noticed.",
                "Run `prelabel up`, or `prelabel worker` with the same data directory (or Redis and database).",
            )
        return ok("workers", f"{len(alive)} alive.")

    def _server(self) -> Iterator[Finding]:
        import httpx  # noqa: PLC0415 (slow to import)

        from prelabel.predictor.remote import RemotePredictor  # noqa: PLC0415
        from prelabel.server.auth import credentials  # noqa: PLC0415 (imports Flask)

        settings = self.settings
        url = (settings.server_url or settings.effective_public_url).rstrip("/")
        try:
            with httpx.Client(timeout=5) as client:
                client.get(f"{url}/health")
                began = time.perf_counter()
                answer = client.get(f"{url}/health")
                seconds = time.perf_counter() - began
            healthy = answer.is_success and answer.json().get("status") == "UP"
        except (httpx.HTTPError, ValueError) as error:
            yield fail(
                "server",
                f"nothing answers at {url} ({type(error).__name__}).",
                "Start `prelabel up MODEL`; if it runs elsewhere, say where with --server-url.",
            )
            return
        if not healthy:
            yield fail("server", f"{url} answers, but it is no prelabel server.", "Check --server-url and --port.")
            return
        if seconds > HEALTH_LIMIT_S:
            yield warn(
                "server",
                f"/health took {seconds:.1f} s; Label Studio hangs up after {HEALTH_LIMIT_S:g} s.",
                "The machine or the network is overloaded; give the server a CPU of its own.",
            )
        else:
            yield ok("server", f"{url} answers within {1000 * seconds:.0f} ms.")
        self.server = RemotePredictor(url, credentials(settings), settings)
        yield self._model(url)
        yield from self._stage()
        yield from self._namesakes()
        yield from self._learning()

    def _model(self, url: str) -> Finding:
        assert self.server is not None  # noqa: S101 (set by the caller)
        try:
            self.model = self.server.about()
        except AuthError:
            return fail(
                "model",
                f"the server at {url} refuses our user and password.",
                "Give the doctor the BASIC_AUTH_USER and BASIC_AUTH_PASS that the server was started with.",
            )
        except PrelabelError as error:
            return fail("model", error.message, error.hint)
        name, version = self.model.get("name"), self.model.get("model_version")
        if self.model.get("error"):
            said = self.model["error"]
            return fail("model", f"{name} could not be loaded: {said.get('error')}", str(said.get("hint") or ""))
        if not self.model.get("ready"):
            return warn("model", f"{version} is still loading.", "Wait; /ready answers 200 when it is done.")
        return ok("model", f"{version} is loaded.")

    def _stage(self) -> Iterator[Finding]:
        if self.ledger is None or not self.model:
            return
        standing = self.ledger.standing_of(str(self.model.get("model_version")))
        if standing.hidden:
            shown = f"{standing.promoted} is" if standing.promoted else "no version is"
            yield warn(
                "stage",
                f"{standing.version} predicts in shadow; {shown} what people see.",
                f"Promote it when it is good enough: `prelabel runs promote {standing.version}`.",
            )

    def _namesakes(self) -> Iterator[Finding]:
        from redis import RedisError  # noqa: PLC0415 (slow to import)

        from prelabel.namesakes import FIX, namesakes  # noqa: PLC0415

        if self.ledger is None or self.queue is None or not self.model:
            return
        name, version = str(self.model.get("name")), str(self.model.get("model_version"))
        with contextlib.suppress(RedisError):
            for other in namesakes(self.ledger, self.queue.redis.client, name, version):
                yield warn("model name", f"a worker is alive that predicts as {other}, of the same name {name!r}.", FIX)

    def _learning(self) -> Iterator[Finding]:
        if self.ledger is None or not self.model:
            return
        failed = self.ledger.events(str(self.model.get("name")), failed=True)
        if failed:
            last = failed[-1]
            which = f"{last.event} of project {last.project}"
            yield warn(
                "learning",
                f"the model could not learn from {len(failed)} events; the last, {which}: {last.error}",
                "Mend its fit; the log has the traceback. What is annotated from then on reaches it.",
            )

    def fit(self, config: LabelingConfig) -> Fit | None:
        """What of the model's outputs the config takes; None where no server can say."""
        return self.server.fit_report(config) if self.server is not None and self.model else None


def workers(queue: JobQueue) -> list[str]:
    """Names of the workers that gave a sign of life lately.

    Raises:
        QueueError: Redis cannot be reached.
    """
    from redis import RedisError  # noqa: PLC0415 (slow to import)
    from rq import Worker  # noqa: PLC0415 (slow to import)

    try:
        known = Worker.all(connection=queue.redis.client)
    except RedisError as error:
        raise QueueError(f"Redis cannot be reached: {error}.", hint="Is it running, and is redis_url right?") from error
    now = datetime.now(timezone.utc)
    alive = []
    for worker in known:
        beat = worker.last_heartbeat
        if beat is None:
            continue
        beat = beat if beat.tzinfo is not None else beat.replace(tzinfo=timezone.utc)
        if (now - beat).total_seconds() < SILENT_S and any(
            name.startswith("prelabel-") for name in worker.queue_names()
        ):
            alive.append(worker.name)
    return alive
