"""The lab: several hosts on one machine, each in its own namespaces."""
