##@ Auth

.PHONY: token
token: $(READY)  ## Print an access token for this machine: TOKEN=$$(make -s token); ARGS="--scope items:write"
	@$(PYTHON) -m app token $(ARGS)

.PHONY: keys
keys: $(READY)  ## List the keys that sign tokens; ARGS=new, ARGS=rotate and ARGS=retire bring the next one in
	@$(PYTHON) -m app keys $(or $(ARGS),list)
