"""Feeds: where the session store learns what happens in the mobile network."""
