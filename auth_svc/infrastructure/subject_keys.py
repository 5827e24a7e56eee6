"""Keys for single people: what is encrypted with one is gone when the key is erased, wherever the rows are."""

from __future__ import annotations

import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.fernet import InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session as SqlSession

from auth_svc.infrastructure.tables import subject_keys
from lib.ids import utc_now
from lib.statements import insert_unless_there

log = logging.getLogger(__name__)

NONCE = 12
KEY = 32
REMEMBERED = 10_000
RESEALED = 500
_MADE = "subject keys made in this transaction"


class SubjectKeys:
    """Encrypts personal data, each person's with a key of their own.

    :param seal: encrypts the keys themselves
    """

    def __init__(self, seal: MultiFernet) -> None:
        self._seal = seal
        self._known: OrderedDict[UUID, bytes] = OrderedDict()

    def encrypt(self, session: SqlSession, subject: UUID, mark: UUID, values: Mapping[str, Any]) -> bytes:
        """Return `values` encrypted; a person without a key gets one, in this transaction.

        :param mark: what the result belongs to; it can be decrypted for nothing else
        """
        plain = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        nonce = secrets.token_bytes(NONCE)
        return nonce + AESGCM(self._key(session, subject)).encrypt(nonce, plain, mark.bytes)

    def decrypt(self, sealed_key: bytes | None, mark: UUID, cipher: bytes | None) -> dict[str, Any]:
        """Return the values; none if there were none, or if their key has been erased.

        :param sealed_key: as it stands in the table
        """
        if sealed_key is None or cipher is None:
            return {}
        try:
            plain = AESGCM(self._seal.decrypt(sealed_key)).decrypt(cipher[:NONCE], cipher[NONCE:], mark.bytes)
        except (InvalidTag, InvalidToken, ValueError):
            return {}
        values: dict[str, Any] = json.loads(plain)
        return values

    def erase(self, session: SqlSession, subject: UUID) -> None:
        """Make everything unreadable that was encrypted for this person.

        Another process may remember the key for a while. It can only write with it what is unreadable, too.
        """
        session.execute(sa.delete(subject_keys).where(subject_keys.c.subject_id == subject))
        self._known.pop(subject, None)

    def reseal(self, sessions: Callable[[], SqlSession]) -> int:
        """Encrypt all keys anew with the newest of the server's own, so that an older one can be withdrawn.

        :returns: how many; those that no key of the server opens are left as they are
        """
        done, after = 0, UUID(int=0)
        while True:
            with sessions() as session:
                rows = session.execute(_SOME, {"after": after}).all()
                for row in rows:
                    try:
                        sealed = self._seal.rotate(row.sealed_key)
                    except InvalidToken:
                        log.warning("no key in SECRET_KEY opens the key of %s", row.subject_id)
                        continue
                    session.execute(_RESEAL, {"subject": row.subject_id, "sealed": sealed})
                    done += 1
                session.commit()
            if not rows:
                return done
            after = rows[-1].subject_id

    def _key(self, session: SqlSession, subject: UUID) -> bytes:
        made: dict[UUID, bytes] = session.info.setdefault(_MADE, {})
        known = self._known.get(subject) or made.get(subject)
        if known is not None:
            return known
        sealed = session.scalar(_FIND, {"subject": subject})
        if sealed is None:
            return self._make(session, subject, made)
        try:
            key = self._seal.decrypt(sealed)
        except InvalidToken:
            # The server's key that had sealed it was withdrawn: as good as erased. Nobody is to be locked out by it.
            log.warning("no key in SECRET_KEY opens the key of %s; it gets a new one", subject)
            session.execute(sa.delete(subject_keys).where(subject_keys.c.subject_id == subject))
            return self._make(session, subject, made)
        self._known[subject] = key
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return key

    def _make(self, session: SqlSession, subject: UUID, made: dict[UUID, bytes]) -> bytes:
        sealed = self._seal.encrypt(secrets.token_bytes(KEY))
        session.execute(_ADD, {"subject_id": subject, "sealed_key": sealed, "created_at": utc_now()})
        # Another transaction may have been faster.
        key = self._seal.decrypt(session.scalars(_FIND, {"subject": subject}).one())
        # Remembered for this transaction only: it may be rolled back.
        made[subject] = key
        return key


_FIND = sa.select(subject_keys.c.sealed_key).where(subject_keys.c.subject_id == sa.bindparam("subject"))
_ADD = insert_unless_there(subject_keys)
_SOME = (
    sa.select(subject_keys.c.subject_id, subject_keys.c.sealed_key)
    .where(subject_keys.c.subject_id > sa.bindparam("after"))
    .order_by(subject_keys.c.subject_id)
    .limit(RESEALED)
    .with_for_update()
)
_RESEAL = (
    sa.update(subject_keys)
    .where(subject_keys.c.subject_id == sa.bindparam("subject"))
    .values(sealed_key=sa.bindparam("sealed"))
)
