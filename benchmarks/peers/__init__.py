"""The same work done the way Nameko's documentation shows it: what ours is measured against."""
