"""Installing Debian packages without letting them start anything.

A package of a server normally starts it, and PostgreSQL's makes a cluster first. Both would put strangers on the
standard ports, so both are switched off for the time of the installation and switched on again afterwards.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local import steps
from deploy.local.console import LocalError, say

MARK = "# leveret: removed again when the installation ends\n"
POLICY = Path("/usr/sbin/policy-rc.d")
CLUSTER = Path("/etc/postgresql-common/createcluster.d/leveret.conf")

UPDATE_TIMEOUT = 300
INSTALL_TIMEOUT = 1200
SHOWN = ("Get:", "Setting up ", "E:", "Err:")


def usable() -> bool:
    """Tell whether we may install packages here: root on Debian or a relative of it."""
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


@contextmanager
def quiet(policy: Path = POLICY, cluster: Path = CLUSTER) -> Iterator[None]:
    """Keep packages from starting daemons and creating clusters while the block runs."""
    folders = [folder for folder in (cluster.parent, *cluster.parent.parents) if not folder.exists()]
    ours = []
    try:
        if not policy.exists() or MARK in policy.read_text(errors="replace"):
            ours.append(policy)
            policy.parent.mkdir(parents=True, exist_ok=True)
            policy.write_text(f"#!/bin/sh\n{MARK}exit 101\n")
            policy.chmod(0o755)
        ours.append(cluster)
        cluster.parent.mkdir(parents=True, exist_ok=True)
        cluster.write_text(f"{MARK}create_main_cluster = false\n")
        yield
    finally:
        for path in ours:
            path.unlink(missing_ok=True)
        for folder in folders:
            try:
                folder.rmdir()
            except OSError:
                break  # the package keeps something there by now


def install(packages: Sequence[str]) -> None:
    """Install packages, showing what happens."""
    say(f"  installing {', '.join(packages)} with apt-get (once)")
    with quiet():
        options = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]
        if _run(["apt-get", *options, "update"], UPDATE_TIMEOUT) is not None:
            # The lists from before may do; if not, the next step fails and says so.
            say("  apt-get update did not succeed, trying to install nevertheless")
        failed = _run(["apt-get", *options, "install", "-y", "--no-install-recommends", *packages], INSTALL_TIMEOUT)
    if failed is not None:
        command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
        raise LocalError(f"`{command}` failed; run it by hand to see why, then try again{failed}")


def _run(command: Sequence[str], timeout: float) -> str | None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    return steps.run(command, show=SHOWN, timeout=timeout, env=environment, finish=True)
