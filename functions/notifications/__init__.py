"""Owns the users' inboxes. Publishes nothing; consumes `transfer.*`, `user.*`, `pin.*`, `limit.*` and `balance.*`."""
