"""Serving the application: waitress around it, signals, and a stop that finishes what was begun.

Why waitress is measured in benchmarks/wsgi.py and written down in docs/server.md: it passes reason phrases through
(Label Studio shows nothing else of an error), says when a client has hung up, runs in the one process that owns the
model, and was the fastest of those that do.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from flask import Flask
from waitress.server import TcpWSGIServer, create_server
from waitress.wasyncore import dispatcher

from prelabel.errors import SettingsError
from prelabel.server.app import create_app
from prelabel.server.clients import Clients
from prelabel.server.requests import CLIENT_GONE
from prelabel.signals import set_event

if TYPE_CHECKING:
    from prelabel.runs import Connection
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

SPARE_THREADS = 8
"""Threads beyond those that ``/predict`` may use, so that health, setup and webhooks never wait behind the model."""
BACKLOG = 1024
IN_MEMORY_BYTES = 16 * 2**20
"""Larger request bodies wait in a temporary file."""
POLL_S = 0.02
LAST_WORDS_S = 5.0
"""Time after the drain in which the requests that are still there get their empty answers."""

Environ = dict[str, Any]


def serve(settings: Settings) -> None:
    """Load the model, open registry and queue, and answer until SIGTERM or SIGINT.

    Raises:
        PrelabelError: the wrapper is not found, the registry or the queue cannot be opened, the port is taken.
    """
    from prelabel.data import DataReader  # noqa: PLC0415 (what a process needs is imported when it starts)
    from prelabel.loader import load_wrapper, model_name  # noqa: PLC0415
    from prelabel.lsml.environment import tell  # noqa: PLC0415
    from prelabel.lsml.learning import learning  # noqa: PLC0415
    from prelabel.predictor.local import LocalPredictor  # noqa: PLC0415
    from prelabel.queue import JobQueue  # noqa: PLC0415
    from prelabel.runs import Ledger  # noqa: PLC0415
    from prelabel.runs.provenance import recorded  # noqa: PLC0415
    from prelabel.server.annotated import counting  # noqa: PLC0415
    from prelabel.successor import as_trained, following  # noqa: PLC0415

    if settings.model is None:
        raise SettingsError("there is no model to serve.", hint="Name one: `prelabel serve my_model.py:predict`.")
    listening = listen(settings.host, settings.port)
    tell(settings)
    wrapper = load_wrapper(settings.model, settings.model_options)
    ledger = Ledger.open(settings)
    queue = JobQueue.open(settings, ledger)
    queue.prepare()
    clients = Clients(settings, ledger, model_name(wrapper, settings))
    reader = DataReader(settings, clients.any)
    predictor = LocalPredictor(as_trained(wrapper, ledger, settings), reader, settings, ledger)

    def again(connection: Connection, version: str) -> None:
        from prelabel.training import predict_again  # noqa: PLC0415 (only where a model learns from events)

        predict_again(SimpleNamespace(settings=settings, ledger=ledger, queue=queue), connection, version)

    try:
        app = create_app(settings, predictor, ledger=ledger, queue=queue, label_studio=clients.of)
        with (
            contextlib.closing(app.extensions["prelabel"]["runs"]),
            recorded(ledger, predictor, settings),
            following(predictor, ledger, settings),
            counting(predictor, queue, clients.of, settings),
            learning(predictor, ledger, again) as learn_no_more,
        ):

            def close() -> None:
                learn_no_more()
                predictor.close()

            serve_app(app, settings, listening=listening, on_drained=close)
    finally:
        reader.close()
        queue.close()
        clients.close()
        ledger.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SettingsError: the address is taken or not ours.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}.",
            hint="Choose another --port, or stop the program that has it.",
        ) from error


def serve_app(
    app: Flask,
    settings: Settings,
    *,
    listening: socket.socket | None = None,
    stop: threading.Event | None = None,
    on_drained: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests until SIGTERM, SIGINT or ``stop``; then finish what is being answered and refuse what comes.

    Args:
        app: made by `create_app`.
        settings: host, port, threads, ``drain_s``.
        listening: a socket that listens already; None: one is made.
        stop: set it to stop the server from another thread; a second signal ends the process at once.
        on_drained: called when the requests are answered, or after ``drain_s``: stops the model.
    """
    stop = stop or threading.Event()
    gate = Gate(app.wsgi_app)
    listening = listening or listen(settings.host, settings.port)
    server = create_server(
        gate,
        sockets=[listening],
        threads=settings.threads + SPARE_THREADS,
        channel_request_lookahead=1,  # reading on while a request is answered is how a hang-up is noticed
        connection_limit=max(1000, 4 * settings.threads),
        max_request_body_size=settings.max_request_bytes,
        inbuf_overflow=IN_MEMORY_BYTES,
        outbuf_overflow=IN_MEMORY_BYTES,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=False,  # none of them is used
        ident=None,
    )
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    with _Signals(stop):
        http = threading.Thread(target=server.run, name="prelabel-http", daemon=True)
        http.start()
        logger.info("listening on %s", address_of(listening))
        stop.wait()
        _drain(server, gate, settings.drain_s, on_drained)


def address_of(listening: socket.socket) -> str:
    """The address of a listening socket as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Gate:
    """WSGI middleware: counts what is being answered, refuses while stopping, tells whether the client has gone."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.inside = 0
        self.closed = False

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.closed:
            body = b'{"error": "this server is stopping.", "hint": "Ask again in a few seconds."}'
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
                ("Retry-After", "5"),
            ]
            start_response("503 This server is stopping", headers)
            return [body]
        if "waitress.client_disconnected" in environ:
            environ[CLIENT_GONE] = environ["waitress.client_disconnected"]
        with self._lock:
            self.inside += 1
        try:
            return self._app(environ, start_response)
        finally:
            with self._lock:
                self.inside -= 1


def _drain(server: TcpWSGIServer, gate: Gate, drain_s: float, on_drained: Callable[[], None]) -> None:
    logger.info("stopping: finishing what is being answered")
    server.trigger.pull_trigger(lambda: dispatcher.close(server))  # in its own thread: the listening socket alone
    # what waits in the dispatcher's queue was accepted before: it is answered too
    until = time.monotonic() + drain_s
    while _busy(server, gate) and time.monotonic() < until:
        time.sleep(POLL_S)
    gate.closed = True
    on_drained()
    until = time.monotonic() + LAST_WORDS_S
    while _busy(server, gate) and time.monotonic() < until:
        time.sleep(POLL_S)
    server.task_dispatcher.shutdown(timeout=1)
    logger.info("stopped")


def _busy(server: TcpWSGIServer, gate: Gate) -> bool:
    """Whether a request is being answered, waits for its turn, or its answer is not sent yet."""
    channels = list(server.active_channels.values())
    return bool(gate.inside or server.task_dispatcher.queue) or any(
        channel.requests or channel.total_outbufs_len for channel in channels
    )


class _Signals:
    """The first SIGTERM or SIGINT sets the event, the second ends the process; in the main thread only."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._came = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._come)

    def __exit__(self, *exc: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _come(self, number: int, _frame: FrameType | None) -> None:
        if self._came or self._stop.is_set():
            raise SystemExit(128 + number)
        self._came = True
        set_event(self._stop)
