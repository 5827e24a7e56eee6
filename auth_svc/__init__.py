"""Accounts, passwords, sessions and the tokens that prove them."""
