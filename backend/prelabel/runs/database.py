"""One engine per process: SQLite in write-ahead mode or PostgreSQL, migrated, private to its owner."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from prelabel.errors import SettingsError
from prelabel.runs.tables import SCHEMA_HEAD
from prelabel.settings import Settings

BUSY_S = 30.0
"""How long a process waits for another one's write before it gives up."""
MIGRATION_LOCK = 0x70726C  # PostgreSQL's advisory lock while migrating; any fixed number


class Database:
    """Read and write transactions. Safe for threads; a forked child gets connections of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: Engine | None = None
        self._pid = 0
        self._opening = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The engine of this process."""
        if self._engine is None or self._pid != os.getpid():
            with self._opening:
                if self._engine is None or self._pid != os.getpid():
                    if self._engine is not None:
                        self._engine.dispose(close=False)  # a parent's connections are the parent's
                    self._engine = _make_engine(self.url)
                    self._pid = os.getpid()
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        """Whether the registry is SQLite."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: it takes SQLite's only write lock at its beginning, and commits at the end."""
        with self.engine.connect().execution_options(prelabel_write=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close all connections of this process."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None


def open_database(settings: Settings) -> Database:
    """The registry's database, made and migrated when needed.

    A directory made here is readable by its owner only, and so is the SQLite file: it holds Label Studio's tokens.

    Raises:
        SettingsError: the URL is malformed, its driver is not installed, or the server does not answer.
    """
    url = settings.effective_database_url
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            url = parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        elif parsed.get_backend_name() == "sqlite" and parsed.database:
            _make_private(Path(parsed.database))
        elif parsed.get_backend_name() == "sqlite":
            raise SettingsError("the registry cannot live in memory.", hint="Give PRELABEL_DATABASE_URL a file.")
        database = Database(url)
        _migrate(database)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(
            f"setting database_url cannot be used: {type(error).__name__}.",
            hint="Use sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME with `pip install 'prelabel[postgres]'`.",
        ) from error
    except OperationalError as error:
        raise SettingsError(
            f"the registry's database does not open: {error.orig}.", hint="Check database_url."
        ) from error
    return database


def _make_private(file: Path) -> None:
    try:
        if not file.parent.exists():
            file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)  # another process may make it just now
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            file.chmod(0o600)
    except OSError as error:
        raise SettingsError(
            f"the registry {file} cannot be written: {error.strerror}.", hint="Choose another --data-dir."
        ) from error


def _make_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=5, max_overflow=20)
    # hide_parameters: errors must not print tokens and tasks
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not when sqlite3 thinks so
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # what was marked as sent stays marked when the power fails
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA cache_size=-16384")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("prelabel_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _migrate(database: Database) -> None:
    with database.read() as connection:
        if _revision(connection) == SCHEMA_HEAD:
            return
    from alembic import command  # noqa: PLC0415 - a third of a second that only a first start pays
    from alembic.config import Config  # noqa: PLC0415

    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        found = _revision(connection)
        if found == SCHEMA_HEAD:
            return
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
