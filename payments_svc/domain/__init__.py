"""The rules of paying: no framework, no database, no clock of its own."""
