"""Owns users, credentials, sessions and tokens; publishes `user.*` and `code.requested`; consumes no events."""
