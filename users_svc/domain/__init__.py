"""The rules about profiles; nothing here knows of SQL, RPC or HTTP."""
