"""Run by Alembic."""

from auth_svc.infrastructure.tables import metadata
from lib.migrations import run

run(metadata)
