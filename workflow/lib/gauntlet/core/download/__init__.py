"""Fetching files: mirrors, HTTP with resume, bandwidth."""
