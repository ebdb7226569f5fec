"""Models from outside: files that are hostile until they are read, and checked until they fit."""
