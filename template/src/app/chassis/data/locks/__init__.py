"""`make migrate-check`: whom new revisions would keep waiting on PostgreSQL. `check` begins."""
