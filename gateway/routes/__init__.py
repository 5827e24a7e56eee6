"""One module per area: its load schemas and its routes."""
