##@ Rate limits

.PHONY: limits
limits: $(READY)  ## List every limit: which route, how often, for whom
	@$(PYTHON) -m app limits $(ARGS)
