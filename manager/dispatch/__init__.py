"""The agents' sessions on this manager."""
