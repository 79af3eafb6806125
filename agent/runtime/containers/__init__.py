"""Containers while they run: conmon, records, signals, usage."""
