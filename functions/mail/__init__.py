"""Owns what is mailed: templates, sending, merging; publishes nothing; hears `code.*`, `user.*`, `transfer.*`."""
