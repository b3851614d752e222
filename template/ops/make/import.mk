##@ Data

.PHONY: import
import: $(READY)  ## Bring in the rows of a file: make import NAME=items FILE=items.csv; ARGS="--dry-run" only tries
	@$(PYTHON) -m app import $(ARGS) -- "$$NAME" "$$FILE"

# As for a migration, only the command line counts.
ifneq ($(filter import,$(MAKECMDGOALS)),)
ifneq ($(if $(strip $(NAME)),$(origin NAME)) $(if $(strip $(FILE)),$(origin FILE)),command line command line)
$(error NAME or FILE is missing, for example: make import NAME=items FILE=items.csv)
endif
endif
