"""Profiles of the people who have an account: what they show, and what others may see of it."""
