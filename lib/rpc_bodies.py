"""The bodies of messages, as Kombu writes and reads them; JSON without its detours.

Kombu makes an encoder for each message, and has Python look at each object of a reply. With a password hash running on
every core, whose memory empties the caches, such code costs several times what it does in a loop.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import amqp
from kombu import serialization
from kombu.utils.json import JSONEncoder

JSON, JSON_TYPE = "json", "application/json"
_encode = JSONEncoder().encode
_UTF8 = frozenset({"utf-8", "UTF-8", None})


class Bodies:
    """Writes with one of Kombu's serializers, and reads what was written with it.

    :param serializer: its name
    """

    def __init__(self, serializer: str) -> None:
        self._serializer = serializer
        self._accept = serialization.prepare_accept_content([serializer])

    def encoded(self, content: Mapping[str, Any]) -> tuple[str, str, Any]:
        """Return content type, encoding and body of a request or a reply."""
        if self._serializer == JSON:
            # What cannot be written is Kombu's to refuse.
            with suppress(Exception):
                return JSON_TYPE, "utf-8", _encode(content)
        encoded: tuple[str, str, Any] = serialization.dumps(content, self._serializer)
        return encoded

    def decoded(self, message: amqp.Message) -> Any:
        """Return what a reply's body holds; raises whatever is wrong with it."""
        properties = message.properties
        return decoded(
            message.body, properties.get("content_type"), properties.get("content_encoding"), accept=self._accept
        )


def decoded(body: Any, content_type: Any, content_encoding: Any, *, accept: Collection[str] | None) -> Any:
    """Return what a body holds, as ``kombu.serialization.loads`` does.

    JSON that cannot be read is a `ValueError` of `json`, or a `RecursionError`, where Kombu's is a `DecodeError`; and
    an empty body is no JSON, where Kombu's is an empty one.

    :param accept: content types; None for all
    """
    if (
        content_type == JSON_TYPE
        and (accept is None or JSON_TYPE in accept)
        and content_encoding in _UTF8
        and isinstance(body, bytes)
        # With these an object may stand for a value that JSON does not have, by the key ``__type__``, which can be
        # escaped.
        and b"__type__" not in body
        and b"\\u00" not in body
    ):
        return json.loads(body.decode("utf-8"))
    return serialization.loads(body, content_type, content_encoding, accept=accept)
