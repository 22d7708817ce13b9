"""Owns what is mailed; publishes nothing; hears `code.*`, `user.*`, `pin.*`, `transfer.*`."""
