"""The session store, and the feeds that fill it."""
