"""Calls to the hosts, and the watch over which of them answer."""
