"""What the edge refuses and which headers every answer carries. May import exchange and its own settings."""
