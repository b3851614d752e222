"""Tools that read, write and look at the data. No part of a running service."""
