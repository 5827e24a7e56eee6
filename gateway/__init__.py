"""The HTTP face of the system: Flask in front of the services' RPC methods. It has no domain and no database."""
