"""Owns users, credentials, sessions and tokens; publishes `user.*` and `code.requested`; hears nothing."""
