"""Owns emails and text messages. Publishes nothing; consumes `code.*`, `user.*`, `pin.*` and `transfer.*`."""
