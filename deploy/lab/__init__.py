"""Several hosts on one machine, in namespaces."""
