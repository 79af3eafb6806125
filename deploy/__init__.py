"""How Argosy is set up, tried and tested."""
