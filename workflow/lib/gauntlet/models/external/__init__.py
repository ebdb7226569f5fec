"""External models: files that are read as hostile input, and checked against a network."""
