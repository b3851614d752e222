"""The contract with clients: recorded, compared, mocked. Tools of developers and CI; a running service imports none."""
