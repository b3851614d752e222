"""`make plans`: every query explained on tables full of rows. `gate` begins."""
