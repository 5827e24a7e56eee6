"""Mails as files, for development: whoever runs the system reads them with ``make mail``."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from email.policy import default
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from lib.errors import MailUnavailable
from lib.mail.letters import Letter, Renderer

POLICY = default.clone(utf8=True)

L = TypeVar("L", bound=Letter)


class MailboxMailer(Generic[L]):
    """Keeps each mail as a file, the newest name last. A mail that is sent again takes the place of its first copy.

    Each mail has a file in ``.index``, with the names that its copies were to have. So a copy is found without a look
    at all the others, however many there are. And so ``.index`` grows by one small file per mail, for ever, whatever
    readers delete: to begin anew, delete the folder.

    :param folder: made if it is not there
    :param now: in UTC
    """

    def __init__(self, folder: Path, renderer: Renderer[L], now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._index = folder / ".index"
        self._renderer = renderer
        self._now = now

    def send(self, mail: L) -> None:
        message = self._renderer.render(mail).as_bytes(policy=POLICY)
        try:
            self._store(mail, message)
        except OSError as exc:
            raise MailUnavailable(f"mailbox {self._folder}: {exc.strerror or type(exc).__name__}") from exc

    def _store(self, mail: L, message: bytes) -> None:
        key = hashlib.sha256(mail.id.encode()).hexdigest()
        with self._open(key) as names:
            name = f"{self._now():%Y%m%dT%H%M%S.%fZ}-{key[:12]}-{mail.kind}.eml"
            target = self._folder / name
            # Where no reader looks for mails. What a killed process has left there is written over.
            part = self._index / f"{key}.part"
            try:
                _write(part, message)
                earlier = names.read().decode().split()
                # Before there is a copy of that name: whenever the process ends, the next try knows of every copy.
                # On a line of its own, also if a full disk has left half a name.
                names.write(f"\n{name}\n".encode())
                names.flush()
                for each in earlier:
                    # At no moment are there two copies, or none.
                    with suppress(FileNotFoundError):
                        (self._folder / each).replace(target)
                part.replace(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise

    @contextmanager
    def _open(self, key: str) -> Iterator[BinaryIO]:
        """Open the file of names, which nobody else has until it is closed: two workers may send one mail at a time."""
        path = self._index / key
        try:
            file = path.open("a+b")
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._index.mkdir(mode=0o700, exist_ok=True)
            file = path.open("a+b")
        with file:
            # This stops the whole thread, and all greenlets run on one: who waits here would keep the owner of the lock
            # from ever giving it back. So nothing from here to the end may let another greenlet run: no line of the
            # log, no sleep, no socket.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file


def _write(path: Path, message: bytes) -> None:
    """Write a file for its owner only: there is a token in it."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(message)
