"""The door: who comes in, and who does not."""
