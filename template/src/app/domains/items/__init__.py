"""The sample domain. `make remove-sample` takes it out."""
