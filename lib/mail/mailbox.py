"""Mails as files, for development: whoever runs the system reads them with ``make mail``."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from datetime import datetime
from email.policy import default
from pathlib import Path
from typing import Generic, TypeVar

from lib.errors import MailUnavailable
from lib.mail.letters import Letter, Renderer

POLICY = default.clone(utf8=True)


L = TypeVar("L", bound=Letter)


class MailboxMailer(Generic[L]):
    """Keeps each mail as a file, the newest name last. A mail that is sent again takes the place of its first copy.

    :param folder: made if it is not there
    :param now: in UTC
    """

    def __init__(self, folder: Path, renderer: Renderer[L], now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._renderer = renderer
        self._now = now

    def send(self, mail: L) -> None:
        message = self._renderer.render(mail).as_bytes(policy=POLICY)
        try:
            self._store(mail, message)
        except OSError as exc:
            raise MailUnavailable(f"mailbox {self._folder}: {exc.strerror or type(exc).__name__}") from exc

    def _store(self, mail: L, message: bytes) -> None:
        short = hashlib.sha256(mail.id.encode()).hexdigest()[:12]
        target = self._folder / f"{self._now():%Y%m%dT%H%M%S.%fZ}-{short}-{mail.kind}.eml"
        self._folder.mkdir(parents=True, exist_ok=True)
        # Readable to its owner only, as mkstemp makes it: there is a token in it.
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", suffix=".part", delete=False) as file:
            part = Path(file.name)
            try:
                file.write(message)
                file.flush()
                for earlier in self._folder.glob(f"*-{short}-*.eml"):
                    # At no moment are there two copies, or none.
                    earlier.replace(target)
                part.replace(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
