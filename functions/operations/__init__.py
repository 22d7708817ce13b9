"""Owns the platform's health and the publisher of all contexts' events. Owns no table and consumes no events."""
