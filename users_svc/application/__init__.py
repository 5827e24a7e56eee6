"""The use cases of users_svc, one function per file, and the ports that they need."""
