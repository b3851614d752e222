"""The sample of callers: accounts that log in by e-mail and password. `make remove-sample` takes it out."""
