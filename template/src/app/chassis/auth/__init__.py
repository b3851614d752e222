"""Who may come in: tokens, keys that rotate, refresh tokens, passwords. Team code uses `access` and `passwords`."""
