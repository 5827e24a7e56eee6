"""Adapters: PostgreSQL and the payment providers."""
