"""What the processes of prelabel write to standard error: one line per event, as text or as JSON, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prelabel.settings import Settings

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The request that this thread answers; stands on its log lines."""

TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(process_name)s%(request)s %(message)s"
NOISY = ("httpx", "httpcore", "rq", "rq.worker", "rq.scheduler", "werkzeug", "waitress", "alembic", "PIL", "urllib3")
"""Libraries that log every request; heard from warnings on, unless the level is debug."""

_SECRETS = re.compile(
    r"""(?ix)
      (?P<scheme> \b(?:bearer|token|basic)\s+ ) (?=[^\s"']*[\d+/=_.]) [\w+/=.~-]{12,}
    | (?P<keys> \bapi[_-]?keys ["']?\s*[:=]\s*b?["']? ) [^\s"';&)]+
    | (?P<name> \b(?:api[_-]?key|access[_-]?token|refresh[_-]?token|refresh|password|passwd|basic_auth_pass|secret
                    |sessionid|csrftoken|x-prelabel-webhook)
                (?: ["']?\s*[:=]\s*b?["']? | ["']\s*,\s*b?["'] ) ) [^\s"',;&)]+
    | (?P<query> [?&](?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|token)= ) [^\s"'&)]+
    | (?P<user> \b[a-z][a-z0-9+.-]*://[^\s/:@]* : ) [^\s/]+ (?=@)
    | \beyJ[\w-]{10,}\.[\w-]{5,}(?:\.[\w-]*)?
    """
)


def redact(text: str) -> str:
    """``text`` with tokens, passwords and the credentials inside addresses as ``***``."""
    return _SECRETS.sub(lambda found: next((part for part in found.groups() if part), "") + "***", text)


class TextFormatter(logging.Formatter):
    """One line per event: time, level, process, request where there is one, message; the traceback below it."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT, "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC, ISO 8601), level, process, logger, message; request, traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": getattr(record, "process_name", ""),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if request := getattr(record, "request_id", ""):
            entry["request"] = request
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


class _Named(logging.Filter):
    """Puts the process's name (server, worker ...) and the request on every record."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def filter(self, record: logging.LogRecord) -> bool:
        request = request_id.get()
        record.process_name = self.process
        record.request_id = request
        record.request = f" [{request}]" if request else ""
        return True


@contextmanager
def kept() -> Iterator[None]:
    """Keep the process's logging as it is, whatever the code inside does to it.

    Files made for another server often configure logging when they are imported, and so silence everybody else.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    known = {name: each for name, each in root.manager.loggerDict.items() if isinstance(each, logging.Logger)}
    before = {name: (each.disabled, each.level, each.propagate, list(each.handlers)) for name, each in known.items()}
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, (disabled, at, propagate, own) in before.items():
            known[name].disabled, known[name].propagate = disabled, propagate
            known[name].setLevel(at)
            known[name].handlers[:] = own


def configure(settings: Settings, process: str) -> None:
    """Send the log of this process to standard error; calling it again replaces the earlier set-up.

    Args:
        settings: ``log_level`` and ``log_json`` are used.
        process: what this process is (``server``, ``worker`` ...), shown on every line.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Named(process))
    handler.setFormatter(JsonFormatter() if settings.log_json else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    quiet = logging.NOTSET if settings.log_level == "debug" else logging.WARNING
    for name in NOISY:
        logging.getLogger(name).setLevel(quiet)
