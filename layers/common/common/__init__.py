"""What every context shares. It imports no context."""
