"""Types and rules, one file a subject. Nothing here does I/O, reads a clock or draws random numbers."""
