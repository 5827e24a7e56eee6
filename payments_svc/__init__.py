"""Payments: money that customers pay and get back."""
