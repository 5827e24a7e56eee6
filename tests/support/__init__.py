"""What several kinds of tests need: polling, databases, processes."""
