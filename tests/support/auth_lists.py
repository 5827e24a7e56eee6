"""The lists of auth_svc and what fills them, in memory and on PostgreSQL, as tests use them."""

from auth_svc.application.ports import Origin
from auth_svc.infrastructure import secret_key
from auth_svc.infrastructure.audit import AuditWriter
from auth_svc.infrastructure.reads import SqlReads
from auth_svc.infrastructure.sql import AuthUnitOfWork
from auth_svc.infrastructure.subject_keys import SubjectKeys
from auth_svc.infrastructure.tables import map_domain
from tests.fakes.auth_reads import FakeReads
from tests.fakes.auth_store import FakeStore, FakeUnitOfWork

NOBODY = Origin("anonymous", "request-0")


class World:
    """The lists and what fills them; `origin` is where the next entry of the audit trail comes from."""

    origin = NOBODY

    def write_down(self, kind, **entry):
        with self.unit_of_work() as uow:
            uow.audit.add(kind, **entry)
            uow.commit()

    def entries(self, *, at_most=100, before=None, **filters):
        wanted = {"account_id": None, "actor_id": None, "kind": None, **filters}
        return self.reads.audit_events(**wanted, before=before, at_most=at_most)

    def accounts(self, *, at_most=100, before=None, **filters):
        wanted = {"query": None, "status": None, "role": None, **filters}
        return self.reads.accounts(**wanted, before=before, at_most=at_most)


class FakeWorld(World):
    def __init__(self):
        store = FakeStore()
        store.origin = lambda: self.origin
        self.unit_of_work = lambda: FakeUnitOfWork(store)
        self.reads = FakeReads(store)


class SqlWorld(World):
    def __init__(self, sessions):
        map_domain()
        keys = SubjectKeys(secret_key.seal_with("a-secret-key", secret_key.SUBJECT_KEYS))
        self.unit_of_work = lambda: AuthUnitOfWork(sessions, AuditWriter(keys, lambda: self.origin))
        self.reads = SqlReads(sessions, keys)
