"""The use cases: one function each, over ports."""
