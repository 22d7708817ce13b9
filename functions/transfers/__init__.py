"""Owns transfers, deposits and their recovery; publishes `transfer.*`; consumes rail answers and `user.deleted`."""
