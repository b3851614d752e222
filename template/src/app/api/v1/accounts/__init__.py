"""The sample of callers, over HTTP. `make remove-sample` takes it out."""
