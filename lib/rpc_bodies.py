"""The bodies of requests and replies, as Kombu writes and reads them; JSON without its detours.

Kombu makes an encoder for each message, and has Python look at each object of a reply. With a password hash running on
every core, whose memory empties the caches, such code costs several times what it does in a loop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import amqp
from kombu import serialization
from kombu.utils.json import JSONEncoder

JSON, JSON_TYPE = "json", "application/json"
_encode = JSONEncoder().encode


class Bodies:
    """Writes with one of Kombu's serializers, and reads what was written with it.

    :param serializer: its name
    """

    def __init__(self, serializer: str) -> None:
        self._serializer = serializer
        self._accept = serialization.prepare_accept_content([serializer])

    def encoded(self, request: Mapping[str, Any]) -> tuple[str, str, Any]:
        """Return content type, encoding and body."""
        if self._serializer == JSON:
            # What cannot be written is Kombu's to refuse.
            with suppress(Exception):
                return JSON_TYPE, "utf-8", _encode(request)
        encoded: tuple[str, str, Any] = serialization.dumps(request, self._serializer)
        return encoded

    def decoded(self, message: amqp.Message) -> Any:
        """Return what a reply's body holds; raises whatever is wrong with it."""
        content_type, body = message.properties.get("content_type"), message.body
        plain = content_type == JSON_TYPE and JSON_TYPE in self._accept and isinstance(body, bytes)
        # Elsewhere an object may stand for a value that JSON does not have, by the key ``__type__``, which can be
        # escaped.
        if plain and b"__type__" not in body and b"\\u00" not in body:
            return json.loads(body.decode("utf-8"))
        return serialization.loads(body, content_type, message.properties.get("content_encoding"), accept=self._accept)
