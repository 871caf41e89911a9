"""The embedded Redis: shared by its users, restarted when it dies, gone when the last of them is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from prelabel import embedded_redis
from prelabel.settings import Settings, load_settings

USER = """
import sys, time
from pathlib import Path
from prelabel import embedded_redis
from prelabel.settings import load_settings
handle = embedded_redis.ensure(load_settings(data_dir=Path(sys.argv[1])))
print(handle.url, handle.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def eventually(condition: Callable[[], bool], seconds: float = 90.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def test_a_given_redis_is_used_as_it_is(tmp_path: Path) -> None:
    with embedded_redis.ensure(load_settings(data_dir=tmp_path, redis_url="redis://queue:6379/3")) as handle:
        assert handle.url == "redis://queue:6379/3"
        assert handle.pid is None
    assert not (tmp_path / "redis").exists()


def test_it_has_no_port_and_ends_with_its_handle(settings: Settings) -> None:
    handle = embedded_redis.ensure(settings)
    with redis.Redis.from_url(handle.url) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        pid = client.info()["process_id"]
    assert pid == handle.pid
    handle.close()
    assert not alive(pid)
    assert not answers(handle.url)


def test_what_was_written_survives_a_stop(settings: Settings) -> None:
    with embedded_redis.ensure(settings) as handle, redis.Redis.from_url(handle.url) as client:
        client.set("kept", "yes")
    with embedded_redis.ensure(settings) as handle, redis.Redis.from_url(handle.url) as client:
        assert client.get("kept") == b"yes"


def test_a_second_user_shares_the_server_and_keeps_it(settings: Settings) -> None:
    first = embedded_redis.ensure(settings)
    second = embedded_redis.ensure(settings)
    assert second.url == first.url
    assert second.pid == first.pid
    first.close()
    assert answers(second.url)
    second.close()
    assert not answers(second.url)


def test_it_ends_when_its_only_user_is_killed(tmp_path: Path) -> None:
    user = subprocess.Popen([sys.executable, "-c", USER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    _url, pid = user.stdout.readline().split()
    assert alive(int(pid))
    user.send_signal(signal.SIGKILL)
    user.wait()
    user.stdout.close()
    assert eventually(lambda: not alive(int(pid)))


def test_it_outlives_the_process_that_started_it_while_another_uses_it(tmp_path: Path, settings: Settings) -> None:
    user = subprocess.Popen([sys.executable, "-c", USER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    user.stdout.readline()
    with embedded_redis.ensure(settings) as handle:
        user.send_signal(signal.SIGKILL)
        user.wait()
        user.stdout.close()
        time.sleep(0.5)
        assert answers(handle.url)


def test_a_killed_server_comes_back_at_the_same_address_with_its_data(settings: Settings) -> None:
    with embedded_redis.ensure(settings) as handle:
        with redis.Redis.from_url(handle.url) as client:
            client.set("kept", "yes")
            time.sleep(1.2)  # the append-only file is synced every second
        killed = handle.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: handle.pid != killed and answers(handle.url))
        with redis.Redis.from_url(handle.url) as client:
            assert client.get("kept") == b"yes"


def test_a_killed_keeper_takes_the_server_along_and_the_next_user_starts_anew(settings: Settings) -> None:
    handle = embedded_redis.ensure(settings)
    keeper, server = (int(pid) for pid in (settings.data_dir / "redis" / "pid").read_text().split())
    os.kill(keeper, signal.SIGKILL)
    assert eventually(lambda: not alive(server))
    with embedded_redis.ensure(settings) as again:
        assert answers(again.url)
        assert again.pid != server
    handle.close()


def test_an_unreadable_append_only_file_is_set_aside(settings: Settings) -> None:
    directory = settings.data_dir / "redis"
    directory.mkdir()
    (directory / "appendonly.aof").write_bytes(b"this is not a Redis file\r\n" * 20)
    with embedded_redis.ensure(settings) as handle:
        assert answers(handle.url)
    assert list(directory.glob("appendonly.aof.refused-*"))


def test_a_data_directory_with_a_long_path_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with embedded_redis.ensure(load_settings(data_dir=deep)) as handle:
        assert answers(handle.url)


def test_many_starters_at_once_share_one_server(tmp_path: Path) -> None:
    users = [
        subprocess.Popen([sys.executable, "-c", USER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    lines = set()
    for user in users:
        assert user.stdout is not None
        lines.add(user.stdout.readline())
    for user in users:
        user.kill()
        user.wait()
        assert user.stdout is not None
        user.stdout.close()
    assert len(lines) == 1


def test_a_missing_binary_is_said_plainly(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_redis.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(embedded_redis.QueueError, match="no redis-server was found"):
        embedded_redis.ensure(settings)
