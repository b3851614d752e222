"""The sample, over HTTP. `make remove-sample` takes it out."""
