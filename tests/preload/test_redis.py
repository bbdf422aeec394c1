"""Redis under the preloaded library: a benchmark, snapshots by fork, and the data read back.

The digest of the data set, computed by Redis itself, must be the one of a server without the
library, also after a restart from a snapshot that a forked child wrote.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Preload

COMMANDS = ("redis-server", "redis-cli", "redis-benchmark")
# In a database of its own: what it leaves behind is random.
BENCHMARK = ("redis-benchmark", "--dbnum", "1", "-q", "-n", "8000", "-c", "20", "-P", "4")
FILL = """
local seed = 12345
for i = 1, 20000 do
  seed = (seed * 1103515245 + 12345) % 2147483648
  redis.call('SET', 'string:' .. i, string.rep('v', seed % 300))
  redis.call('HSET', 'hash:' .. (i % 500), 'field' .. i, seed)
  redis.call('RPUSH', 'list:' .. (i % 100), 'item' .. seed)
  redis.call('ZADD', 'set:' .. (i % 50), seed, 'member' .. i)
  if i % 3 == 0 then redis.call('DEL', 'string:' .. (i - 2)) end
end
return redis.call('DBSIZE')
"""


class Server:
    """One redis-server on a socket in a folder of its own."""

    def __init__(self, preload: Preload, folder: Path) -> None:
        self.socket = folder / "socket"
        self.env = preload.environment()
        self.preload = preload
        words = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", folder]
        words += ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
        self.log = (folder / "log").open("ab")
        self.process = subprocess.Popen(
            [str(word) for word in words], env=self.env, stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + 30
        while not self.socket.exists():
            assert self.process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "redis-server did not come up"
            time.sleep(0.02)

    def ask(self, *words: str) -> str:
        """Send one command and return the answer."""
        outcome = self.preload.run("redis-cli", "-s", self.socket, *words, timeout_s=60)
        return outcome.expect_success().out.strip()

    def save_in_background(self) -> None:
        """Snapshot by a forked child, and wait until it is written."""
        assert self.ask("BGSAVE").startswith("Background saving")
        deadline = time.monotonic() + 60
        while "rdb_bgsave_in_progress:1" in (state := self.ask("INFO", "persistence")):
            assert time.monotonic() < deadline, "BGSAVE does not end"
            time.sleep(0.02)
        assert "rdb_last_bgsave_status:ok" in state

    def stop(self) -> int:
        """End the server in an orderly way and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=30)
        self.socket.unlink(missing_ok=True)
        self.log.close()
        return status


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder whose path is short enough for a socket (108 bytes)."""
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return tmp_path_factory.mktemp("redis")


def fill_and_digest(preload: Preload, folder: Path) -> str:
    server = Server(preload, folder)
    try:
        server.ask("EVAL", FILL, "0")
        return server.ask("DEBUG", "DIGEST")
    finally:
        assert server.stop() == 0


def test_redis_keeps_its_data(
    preload: Preload, plain: Preload, folder: Path, tmp_path: Path
) -> None:
    expected = fill_and_digest(plain, tmp_path)
    server = Server(preload, folder)
    try:
        server.ask("EVAL", FILL, "0")
        for _ in range(3):
            preload.run(*BENCHMARK, "-s", server.socket, timeout_s=100).expect_success()
            server.save_in_background()
        server.ask("-n", "1", "FLUSHDB")
        server.ask("MEMORY", "PURGE")
        assert server.ask("DEBUG", "DIGEST") == expected
        server.save_in_background()
    finally:
        assert server.stop() == 0
    again = Server(preload, folder)
    try:
        assert again.ask("DEBUG", "DIGEST") == expected
    finally:
        assert again.stop() == 0
    log = (folder / "log").read_text(encoding="utf-8")
    assert "hz3:" not in log
