"""What asyncio and the standard library lack. Nothing in here knows Argosy's domain."""
