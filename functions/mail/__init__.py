"""Owns what is mailed: templates, sending, merging; publishes nothing; hears `code.requested`, `user.verified`, `transfer.completed`."""
