"""What the service does for others: one function for each use case, and the ports that it needs."""
