"""The vocabulary of all rooms: errors, threat models, random streams, a model in batches, files."""
