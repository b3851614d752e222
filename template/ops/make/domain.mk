##@ Domains

# As they were typed: a $ in them is no variable of make's, which would work it out for the environment of a command.
ifneq ($(filter domain,$(MAKECMDGOALS)),)
unexport NAME ONE FIELDS
ifneq ($(if $(strip $(value NAME)),$(origin NAME)),command line)
$(error NAME is missing, for example: make domain NAME=orders FIELDS="title:text(1..80) note:text? price:decimal")
endif
endif
.PHONY: domain
domain: export DOMAIN_NAME := $(if $(filter command,$(origin NAME)),$(value NAME))
domain: export DOMAIN_ONE := $(if $(filter command,$(origin ONE)),$(value ONE))
domain: export DOMAIN_FIELDS := $(if $(filter command,$(origin FIELDS)),$(value FIELDS))
domain: $(READY)  ## Add a domain with routes, table and tests: make domain NAME=orders FIELDS="title:text(1..80) price:decimal"
	@$(PYTHON) -B ops/domain.py
