"""A service whose limits the tests of this folder know."""
