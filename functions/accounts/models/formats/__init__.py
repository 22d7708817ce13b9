"""Statements as files. A format's module, and what it needs, is imported only when that format is requested."""
