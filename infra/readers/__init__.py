"""Runs the statements of docs/READING.md with the readers that it names, on events that are hard to read."""
