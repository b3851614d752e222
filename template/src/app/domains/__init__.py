"""What the service is about. Knows no HTTP. A domain reaches another only through its `service.py`."""
