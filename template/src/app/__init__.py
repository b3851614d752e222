"""The service. `chassis/` comes with the template; `main`, `settings`, `api/` and `domains/` are the team's."""
