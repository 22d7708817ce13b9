"""Owns transfer intents, deposits and their recovery; publishes `transfer.*`; hears its rails, and `user.deleted`."""
