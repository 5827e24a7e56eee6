"""Keys for single people: what is encrypted with one is gone when the key is erased, wherever the rows are."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.fernet import InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from prometheus_client import Counter
from sqlalchemy.orm import Session as SqlSession

from auth_svc.infrastructure.tables import subject_keys
from lib import metrics
from lib.ids import utc_now
from lib.statements import insert_unless_there
from lib.uow import SqlUnitOfWork
from lib.writes import inserting

log = logging.getLogger(__name__)

NONCE = 12
KEY = 32
REMEMBERED = 10_000
RESEALED = 500
#: seconds; a wrong SECRET_KEY would otherwise write a line for every request
WARNED_EVERY = 60.0
LEFT_OUT = Counter(
    "audit_personal_data_left_out_total",
    "Entries of the audit trail without their personal data, as no key in SECRET_KEY opens the person's",
    registry=metrics.REGISTRY,
)
#: Remembered for the transaction only: it may be rolled back.
_MADE = "subject keys made in this transaction"


class SubjectKeys:
    """Encrypts personal data, each person's with a key of their own.

    A key that nothing here opens stays as it is: another instance, or tomorrow's SECRET_KEY, may well open it. Only
    `erase` takes one away.

    :param seal: encrypts the keys themselves
    :param clock: seconds that only grow
    """

    def __init__(self, seal: MultiFernet, clock: Callable[[], float] = time.monotonic) -> None:
        self._seal = seal
        self._clock = clock
        self._warned_at: float | None = None
        self._known: OrderedDict[UUID, bytes] = OrderedDict()

    def encrypt(self, uow: SqlUnitOfWork, subject: UUID, mark: UUID, values: Mapping[str, Any]) -> bytes | None:
        """Return `values` encrypted; a person without a key gets one, in this transaction.

        :param mark: what the result belongs to; it can be decrypted for nothing else
        :returns: None if no key in SECRET_KEY opens the person's: what they do goes on, written down without `values`
        """
        try:
            key = self._key(uow, subject)
        except InvalidToken:
            self._leave_out(subject)
            return None
        plain = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        nonce = secrets.token_bytes(NONCE)
        return nonce + AESGCM(key).encrypt(nonce, plain, mark.bytes)

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

    def _key(self, uow: SqlUnitOfWork, subject: UUID) -> bytes:
        made: dict[UUID, bytes] = uow.memory.setdefault(_MADE, {})
        known = self._known.get(subject) or made.get(subject)
        if known is not None:
            return known
        is_new = uow.is_adding(subject)
        found = None if is_new else uow.first(_FIND, subject=subject)
        if found is None:
            made[subject] = self._add(uow, subject) if is_new else self._make(uow, subject)
            return made[subject]
        key = self._seal.decrypt(found.sealed_key)
        self._known[subject] = key
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return key

    def _add(self, uow: SqlUnitOfWork, subject: UUID) -> bytes:
        """Return the key of somebody whom this transaction adds: nobody else can make one."""
        key = secrets.token_bytes(KEY)
        uow.later(_INSERT, subject_id=subject, sealed_key=self._seal.encrypt(key), created_at=utc_now())
        return key

    def _make(self, uow: SqlUnitOfWork, subject: UUID) -> bytes:
        sealed = self._seal.encrypt(secrets.token_bytes(KEY))
        row = {"subject_id": subject, "sealed_key": sealed, "created_at": utc_now()}
        if uow.has_begun:
            uow.session.execute(_INSERT_UNLESS_THERE, row)
        else:
            # By itself: in a transaction that has locked nothing before, the key would be locked before the account,
            # and everybody else locks the account first.
            uow.at_once(_ADD_QUIETLY, **row)
        # Another transaction may have been faster, even one of an instance with another SECRET_KEY.
        kept = uow.first(_FIND, subject=subject)
        return self._seal.decrypt(kept.sealed_key if kept else sealed)

    def _leave_out(self, subject: UUID) -> None:
        LEFT_OUT.inc()
        now = self._clock()
        if self._warned_at is None or now - self._warned_at >= WARNED_EVERY:
            self._warned_at = now
            log.warning(
                "no key in SECRET_KEY opens the key of %s, and maybe of others: personal data is left out of the audit"
                " trail (audit_personal_data_left_out_total counts it)",
                subject,
            )


_FIND = sa.select(subject_keys.c.sealed_key).where(subject_keys.c.subject_id == sa.bindparam("subject"))
_INSERT, _INSERT_UNLESS_THERE = inserting(subject_keys), insert_unless_there(subject_keys)
_ADD_QUIETLY = inserting(subject_keys, unless_there=("subject_id",))
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
