"""Running a slow step of the preparation: its milestones are shown, the rest only when it fails."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from threading import Timer

from deploy.local.console import say


def run(
    command: Sequence[str],
    *,
    show: Sequence[str] = (),
    timeout: float = 1800,
    env: Mapping[str, str] | None = None,
    finish: bool = False,
) -> str | None:
    """Return None when the step succeeded, else the last lines of its output, ready to stand under a message.

    :param show: what the lines begin with that are shown while it runs
    :param finish: let the step end in its own time when we are told to stop, as it must not be torn apart
    """
    last: deque[str] = deque(maxlen=12)
    try:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=finish,
        )
    except OSError as exc:
        return f"\n    {exc}"
    timer = Timer(timeout, process.terminate)
    timer.start()
    try:
        for line in process.stdout or ():
            last.append(line.rstrip())
            if line.strip().startswith(tuple(show)):
                # pip adds the file that asks for a package.
                say(f"    {line.strip().partition(' (from ')[0][:110]}")
        code = process.wait()
    except BaseException:
        if finish:
            say(f"  letting {command[0]} end first")
        else:
            process.terminate()
        process.wait()
        raise
    finally:
        timer.cancel()
        if process.stdout:
            process.stdout.close()
    return None if code == 0 else "".join(f"\n    {line}" for line in last) or f"\n    exit code {code}"
