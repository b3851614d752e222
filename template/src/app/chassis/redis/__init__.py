"""Redis or Valkey, for the features that share something between processes."""
