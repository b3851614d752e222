"""The accounts, over HTTP and in the service."""
