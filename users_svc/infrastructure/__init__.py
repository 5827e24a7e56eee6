"""Adapters of users_svc: PostgreSQL, and auth_svc over RPC."""
