"""A private Redis."""

from __future__ import annotations

import signal
import socket

from deploy.local import programs
from deploy.local.parts import Part
from deploy.local.ports import LOOPBACK
from deploy.local.processes import open_log

CONFIG = """\
bind {host}
port {port}
protected-mode yes
daemonize no
dir "{data}"
dbfilename dump.rdb
save 60 1
appendonly no
# A full disk shall not make rate limits fail: nothing in here is worth keeping.
stop-writes-on-bgsave-error no
"""


class Redis(Part):
    """Redis on the loopback address; it writes its data when it stops and once a minute."""

    name = "redis"
    title = "Redis"
    standard_ports = {"redis": 6379}  # noqa: RUF012
    stop_signal = signal.SIGTERM

    def start(self) -> None:
        if self.running:
            return
        program = programs.ensured(self.name)
        data = self.home / "data"
        data.mkdir(parents=True, exist_ok=True)
        config = self.home / "redis.conf"
        config.write_text(CONFIG.format(host=LOOPBACK, port=self.ports["redis"], data=data), encoding="utf-8")
        with open_log(self.log) as log:
            self.daemon.start([str(program), str(config)], env=self.clean_environment(), cwd=data, output=log)
        self.wait_until_ready(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.ports["redis"]), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def environment(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://{LOOPBACK}:{self.ports['redis']}/0"}
