"""Owns every user's inbox; publishes nothing; hears `transfer.*`, `user.*`, `pin.*`, `limit.*`, `balance.*`."""
