"""The commands behind the Makefile: ``python -m deploy.local <command>``. Needs nothing but the standard library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from deploy.local import environment, mailbox, programs, session, venv
from deploy.local import up as foreground
from deploy.local.console import LocalError, say
from deploy.local.postgres import remove_data

PROJECT = Path(__file__).resolve().parents[2]
ROOT = PROJECT / ".local"

CACHES = (
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".import_linter_cache",
    ".coverage",
    "htmlcov",
    "build",
    "dist",
)
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",))
FORMAT = (("ruff", "check", "--fix", "."), ("ruff", "format", "."))
NEED_SERVERS = ("test", "integration", "e2e", "faults", "bench")


def up(_arguments: Sequence[str]) -> int:
    return foreground.main(PROJECT)


def down(_arguments: Sequence[str]) -> int:
    session.stop(PROJECT, ROOT, say)
    say("Nothing of this checkout is running")
    return 0


def clean(_arguments: Sequence[str]) -> int:
    """Stop everything and remove local state and caches; the virtual environment stays."""
    session.stop(PROJECT, ROOT, say, remove=True)
    remove_data(ROOT / "postgres")
    for path in [ROOT, *(PROJECT / name for name in CACHES), *PROJECT.glob(".coverage.*"), *PROJECT.glob("*.egg-info")]:
        _remove(path)
    for folder, names, _files in os.walk(PROJECT):
        names[:] = [name for name in names if name not in (".git", ".venv", "node_modules")]
        if "__pycache__" in names:
            names.remove("__pycache__")
            _remove(Path(folder, "__pycache__"))
    say("Removed .local and caches")
    return 0


def distclean(arguments: Sequence[str]) -> int:
    clean(arguments)
    _remove(PROJECT / ".venv")
    say("Removed .venv")
    return 0


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def tests(arguments: Sequence[str]) -> int:
    """Prepare what the named kind of test needs and become pytest, without any given address or setting."""
    kind, *rest = arguments
    python = venv.ensure(PROJECT, venv.DEVELOPMENT)
    if kind in NEED_SERVERS:
        programs.ensure()
    environ = environment.scrub(os.environ, environment.names_in(PROJECT / "config.yaml"))
    command = [str(python), "-m", "benchmarks"] if kind == "bench" else [str(python), "-m", "pytest"]
    if kind == "test" and not rest:
        # The whole suite also has to reach every branch of the rules and the use cases (setup.cfg, coverage:report).
        command.append("--cov")
    _become([*command, *rest], environment.direct(environ))


def check(arguments: Sequence[str]) -> int:
    """Run every check, also after one that failed, so that one run shows all there is to do; ``check fmt`` repairs."""
    programs_folder = venv.ensure(PROJECT, venv.DEVELOPMENT).parent
    failed = []
    for command in FORMAT if "fmt" in arguments else CHECKS:
        say(f"--- {' '.join(command)}")
        if subprocess.run([str(programs_folder / command[0]), *command[1:]], cwd=PROJECT, check=False).returncode:
            failed.append(" ".join(command))
    if failed:
        raise LocalError(f"not clean: {', '.join(failed)}")
    return 0


def prepare(arguments: Sequence[str]) -> int:
    """Only make the virtual environment: ``prepare`` or ``prepare dev``."""
    venv.ensure(PROJECT, venv.DEVELOPMENT if "dev" in arguments else venv.RUNTIME)
    return 0


def mail(arguments: Sequence[str]) -> int:
    """Show the newest mail: ``mail 3 --to ann@example.com --kind claim``."""
    # What a running system has in force stands in .local/env.
    files = {**environment.read(PROJECT / ".env"), **environment.read(ROOT / "env")}
    folder = PROJECT / (environment.effective(os.environ, files).get("MAIL_FOLDER") or ROOT / "mail")
    here = folder.is_relative_to(Path.cwd())
    return mailbox.main(folder.relative_to(Path.cwd()) if here else folder, arguments)


def _become(command: Sequence[str], environ: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    os.chdir(PROJECT)
    os.execve(command[0], list(command), environ)  # noqa: S606


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "up": up,
    "down": down,
    "clean": clean,
    "distclean": distclean,
    "tests": tests,
    "check": check,
    "prepare": prepare,
    "mail": mail,
}


def main(arguments: Sequence[str]) -> int:
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        print(f"usage: python -m deploy.local {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return command(arguments[1:])
    except LocalError as exc:
        problem = str(exc)
    except PermissionError as exc:
        problem = f"no permission for {exc.filename}; was it made by another user, with sudo perhaps?"
    except subprocess.TimeoutExpired as exc:
        problem = f"`{exc.cmd if isinstance(exc.cmd, str) else ' '.join(exc.cmd)}` took longer than {exc.timeout:.0f} s"
    except KeyboardInterrupt:
        return 130
    print(f"error: {problem}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
