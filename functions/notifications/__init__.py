"""Owns every user's inbox; publishes nothing; hears `transfer.*`."""
