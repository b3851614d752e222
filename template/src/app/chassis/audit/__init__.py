"""The audit: a checklist asked of the running service. A tool of developers and CI; a running service imports none."""
