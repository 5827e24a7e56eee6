"""How others reach the service: RPC and the operators' command line."""
