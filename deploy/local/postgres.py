"""A private PostgreSQL with the databases and roles of the three services."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from deploy.local import programs
from deploy.local.console import LocalError
from deploy.local.environment import SERVICES
from deploy.local.parts import Part
from deploy.local.ports import LOOPBACK
from deploy.local.processes import identity, open_log

DATABASES = Path(__file__).with_name("databases.sql")
DRIVER = "postgresql+psycopg2"
ELSEWHERE = "leveret-postgres-"


class Postgres(Part):
    """PostgreSQL on the loopback address, without a Unix socket.

    It refuses to run as root; when we are root it runs as the system's `postgres` user, in a folder that this user
    can reach.

    :param durable: False for throw-away test data. Only what protects against a crash of the *machine* is left out;
        a killed server still keeps every commit.
    """

    name = "postgres"
    title = "PostgreSQL"
    standard_ports = {"postgres": 5432}  # noqa: RUF012
    # "Fast": disconnects the clients instead of waiting for them.
    stop_signal = signal.SIGINT

    def __init__(
        self, root: Path, ports: MutableMapping[str, int], cancelled: threading.Event, *, durable: bool = True
    ) -> None:
        super().__init__(root, ports, cancelled)
        self.durable = durable
        self.user: str | None = None

    def start(self) -> None:
        if self.running:
            return
        folder = programs.ensured(self.name)
        self.home.mkdir(parents=True, exist_ok=True)
        forget_abandoned()
        place = self._place()
        data = place / "data"
        if not data.exists():
            self._initialise(folder, place)
        self._check(folder, data)
        with open_log(self.log) as log:
            argv = [str(folder / "postgres"), "-D", str(data), *self._options()]
            self.daemon.start(argv, env=self._environment(place), cwd=place, output=log, user=self.user)
        probe = [str(folder / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.ports["postgres"]), "-t", "2"]
        self.wait_until_ready(
            lambda: subprocess.run(probe, env=self.clean_environment(), timeout=10, check=False).returncode == 0
        )
        self._create_databases(folder)

    def environment(self) -> dict[str, str]:
        address = f"{LOOPBACK}:{self.ports['postgres']}"
        urls = {}
        for service in SERVICES:
            app, owner, name = f"{service}_app", f"{service}_owner", service.upper()
            urls[f"{name}_DATABASE_URL"] = f"{DRIVER}://{app}:{app}@{address}/{service}"
            urls[f"{name}_MIGRATION_DATABASE_URL"] = f"{DRIVER}://{owner}:{owner}@{address}/{service}"
        urls["POSTGRES_SUPERUSER_URL"] = f"{DRIVER}://postgres:{self._password()}@{address}/postgres"
        return urls

    def remove(self) -> None:
        """Delete the data, wherever it had to be put."""
        remove_data(self.home)

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.ports["postgres"]),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            # Errors are logged without their statements, which hold what people entered.
            "log_min_error_statement": "panic",
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _environment(self, place: Path) -> dict[str, str]:
        return {**self.clean_environment(), "HOME": str(place)}

    def _password(self) -> str:
        """Return the superuser's password: a superuser may run programs, so it gets no well-known one."""
        file = self.home / "superuser"
        if not file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(secrets.token_hex(16))
        return file.read_text()

    # --- where the data lies and who owns it ------------------------------------------------------------------------

    def _place(self) -> Path:
        """Return the folder for the data and decide as whom the server runs."""
        place = recorded_place(self.home) or self.home / "cluster"
        data = place / "data"
        if os.geteuid() != 0:
            place.mkdir(exist_ok=True)
            return place
        owner = data.stat().st_uid if data.exists() else 0
        self.user = pwd.getpwuid(owner).pw_name if owner else _unprivileged()
        if data.exists() or self._make(place):
            return place
        # A checkout under /root, say, which nobody else may enter.
        place.rmdir()
        for parent in dict.fromkeys(("/var/tmp", tempfile.gettempdir())):  # noqa: S108  (mkdtemp makes it private)
            if not os.path.isdir(parent):
                continue
            place = Path(tempfile.mkdtemp(prefix=ELSEWHERE, dir=parent))
            if self._make(place):
                (place / "root").write_text(str(self.home.resolve()))
                (self.home / "place").write_text(str(place))
                return place
            place.rmdir()
        raise LocalError(f"PostgreSQL runs as user {self.user}, which can reach neither {self.home} nor /var/tmp")

    def _make(self, place: Path) -> bool:
        """Make the folder, give it to the server's user, and tell whether that user can really work in it."""
        place.mkdir(exist_ok=True)
        shutil.chown(place, self.user or os.geteuid())
        place.chmod(0o700)
        test = ["/bin/sh", "-c", 'cd "$1" && : >probe && rm probe', "sh", str(place)]
        return subprocess.run(test, cwd="/", capture_output=True, check=False, **self._as_user()).returncode == 0

    def _as_user(self) -> dict[str, Any]:
        return {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}

    def _check(self, folder: Path, data: Path) -> None:
        owner = data.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise LocalError(f"{data} belongs to another user (uid {owner}); remove it with `make clean` as that user")
        made_by = (data / "PG_VERSION").read_text().strip()
        version = subprocess.run(
            [str(folder / "postgres"), "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
        if f" {made_by}." not in version and not version.strip().endswith(f" {made_by}"):
            found = version.strip()
            raise LocalError(f"{data} was made by PostgreSQL {made_by}, found {found}: `make clean` starts anew")

    # --- first start ------------------------------------------------------------------------------------------------

    def _initialise(self, folder: Path, place: Path) -> None:
        fresh = place / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        password = place / "password"
        password.touch(mode=0o600)
        password.write_text(self._password())
        if self.user:
            shutil.chown(password, self.user)
        argv = [str(folder / "initdb"), "-D", str(fresh), "-U", "postgres", "-E", "UTF8", f"--pwfile={password}"]
        argv += ["--auth=scram-sha-256", "--lc-messages=C", *([] if self.durable else ["--no-sync"])]
        try:
            if not self._run([*argv, "--locale=C.UTF-8"], place):
                # Not every system has that locale.
                shutil.rmtree(fresh, ignore_errors=True)
                if not self._run([*argv, "--locale=C"], place):
                    raise LocalError(f"initdb failed; see the end of {self.log}")
        finally:
            password.unlink()
        # The name `data` appears when the data is complete: an interrupted first start leaves nothing half made.
        fresh.rename(place / "data")

    def _run(self, argv: Sequence[str], place: Path) -> bool:
        with open_log(self.log) as log:
            done = subprocess.run(
                argv,
                env=self._environment(place),
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=120,
                check=False,
                start_new_session=True,
                **self._as_user(),
            )
        return done.returncode == 0

    def _create_databases(self, folder: Path) -> None:
        """Run the script that makes databases and roles, once per version of the script."""
        stamp = self.home / "databases"
        wanted = hashlib.sha256(DATABASES.read_bytes() + str(self._place()).encode()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        argv = [str(folder / "psql"), "-X", "-q", "-h", LOOPBACK, "-p", str(self.ports["postgres"]), "-U", "postgres"]
        done = subprocess.run(
            [*argv, "-d", "postgres", "-f", str(DATABASES)],
            env={**self.clean_environment(), "PGPASSWORD": self._password(), "PGCONNECT_TIMEOUT": "10"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise LocalError(f"PostgreSQL: databases and roles could not be made: {done.stderr.strip()}")
        stamp.write_text(wanted)


def _unprivileged() -> str:
    """Return a system user for a server that refuses to run as root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise LocalError("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")


def recorded_place(home: Path) -> Path | None:
    """Return the folder outside the root that holds the data, if there is one and it is still ours."""
    try:
        place = Path((home / "place").read_text().strip())
        # A copy of the root has the same record, but the folder belongs to the original.
        return place if (place / "root").read_text() == str(home.resolve()) else None
    except OSError:
        return None


def remove_data(home: Path) -> None:
    """Delete what a PostgreSQL with this home has stored."""
    place = recorded_place(home)
    if place:
        shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


def forget_abandoned() -> None:
    """Delete data folders outside a root that is gone, such as those of test runs that were killed."""
    for parent in dict.fromkeys(("/var/tmp", tempfile.gettempdir())):  # noqa: S108
        for place in Path(parent).glob(f"{ELSEWHERE}*"):
            try:
                root = Path((place / "root").read_text())
                if place.is_symlink() or root.exists() or _in_use(place / "data"):
                    continue
            except OSError:
                continue
            shutil.rmtree(place, ignore_errors=True)


def _in_use(data: Path) -> bool:
    try:
        return identity(int((data / "postmaster.pid").read_text().split()[0])) is not None
    except (OSError, ValueError, IndexError):
        return False
