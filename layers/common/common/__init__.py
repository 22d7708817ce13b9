"""What every room shares, and nothing else: it imports no room."""
