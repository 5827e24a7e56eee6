"""How the ports are kept: PostgreSQL, Argon2, JSON Web Tokens."""
