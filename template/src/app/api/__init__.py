"""HTTP: one folder a served version. Deleting a folder ends that version. May import domains and the chassis."""
