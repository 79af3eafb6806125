"""What asyncio lacks. No domain word is allowed in here: it could as well be in the standard library."""
