"""Owns the platform's health and the publisher of every room's events; owns no table."""
