"""`make migrate-rehearse`: migrations tried on a copy of real data. `rehearse` begins."""
