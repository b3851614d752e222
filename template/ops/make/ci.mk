##@ Continuous integration

# What CI runs beside the checks of every day. Tools of its own come for the run: no service installs them.
FROM_TOOLS := tool run --quiet --python '>=3.11' --from

.PHONY: secrets
secrets: $(filter .tools/%,$(UV))  ## Look for secrets in every file that git holds, and in every commit that no tag holds
	@"$(UV)" $(FROM_TOOLS) 'detect-secrets>=1.5,<2' python -B -X utf8 ops/secret_scan.py

.PHONY: sbom
sbom: $(filter .tools/%,$(UV))  ## Write what the service is made of into var/sbom.cdx.json, as CycloneDX
	@UV="$(UV)" python3 -B ops/sbom.py $(ARGS)

# A setting of the run wins, such as RANDOM_CASES=5000.
.PHONY: thorough
thorough: export THOROUGH := 1
thorough: export CONFORMANCE_EXAMPLES ?= 200
thorough: export RANDOM_CASES ?= 1000
thorough: export KILL_ROUNDS ?= 5
thorough: $(READY)  ## Run every test, the long ones of our tools too, and send each route far more random requests
	@$(PYTHON) -m pytest $(ARGS)

.PHONY: self-audit
self-audit: $(READY) $(filter .tools/%,$(UV))  ## Start the service on an empty database, audit it, stop it; ARGS="--strict" as in make audit
	@UV="$(UV)" $(PYTHON) -B ops/self_audit.py $(ARGS)

.PHONY: update-proposal
update-proposal: $(filter .tools/%,$(UV))  ## Put the template's newest release on a branch, conflicts and all; var/update-proposal.md lists them
	@UV="$(UV)" "$(UV)" $(FROM_TOOLS) 'copier>=9.19.1,<10' python -B ops/update_proposal.py

.PHONY: update-request
update-request: $(filter .tools/%,$(UV))  ## In CI: propose the newest release as a pull or merge request
	@UV="$(UV)" "$(UV)" $(FROM_TOOLS) 'copier>=9.19.1,<10' python -B ops/update_request.py
