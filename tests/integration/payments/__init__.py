"""payments_svc."""
