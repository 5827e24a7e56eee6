"""A client of server-sent events, as the HTML standard has it: it keeps the last id, also of events without data."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Event:
    """One event, and when it came (monotonic)."""

    name: str
    id: str
    data: Any
    at: float


class EventStream:
    """An open stream, read by a thread of its own.

    :param headers: of the request
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        self._connection.request("GET", parts.path, headers=dict(headers))
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers
        #: the body of an answer that is no stream
        self.problem = None if self.status == 200 else json.loads(self._response.read())
        self.events: list[Event] = []
        self.comments: list[float] = []
        self.last_id = ""
        self.retry: int | None = None
        #: when the stream ended, whatever the reason
        self.ended_at: float | None = None
        self._thread = threading.Thread(target=self._read, name="event-stream", daemon=True)
        if self.status == 200:
            self._thread.start()

    @property
    def opened(self) -> bool:
        """True once the first lines are here."""
        return self.retry is not None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    @property
    def reason(self) -> str | None:
        """Why the gateway ended it."""
        return next((each.data["reason"] for each in self.events if each.name == "end"), None)

    @property
    def notifications(self) -> list[Event]:
        return [each for each in self.events if each.name == "notification"]

    @property
    def numbers(self) -> list[int]:
        return [each.data["number"] for each in self.notifications]

    def close(self) -> None:
        """Go away without a word, as a browser does."""
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join(5)
        self._connection.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with suppress(OSError, http.client.HTTPException):
            while line := self._response.readline():
                text = line.decode().rstrip("\n")
                if text.startswith(":"):
                    self.comments.append(time.monotonic())
                elif text:
                    name, _, value = text.partition(":")
                    fields[name] = value.removeprefix(" ")
                else:
                    self._dispatch(fields)
                    fields = {}
        self.ended_at = time.monotonic()

    def _dispatch(self, fields: Mapping[str, str]) -> None:
        self.last_id = fields.get("id", self.last_id)
        if "retry" in fields:
            self.retry = int(fields["retry"])
        if "data" in fields:
            event = fields.get("event", "message")
            self.events.append(Event(event, self.last_id, json.loads(fields["data"]), time.monotonic()))
