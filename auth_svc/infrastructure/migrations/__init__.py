"""Alembic's scripts for the database of auth_svc."""
