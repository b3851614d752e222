"""The team's own fixtures, markers and environment. The chassis' fixtures `service` and `client` are there already."""
