# Plumbline's own targets. Each sets itself up from nothing: Python 3.11+, git and make are enough.
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV_PIN := uv>=0.13.8,<0.14
run := .tools/bin/python

# All that is written stays in this folder; only pip's and uv's caches lie where those tools keep them.
export TMPDIR := $(CURDIR)/.work/tmp
export COPIER_CACHE_DIR := $(CURDIR)/.work/copier
$(shell mkdir -p .work/tmp)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## say what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: .tools/ready ## render the default service, start it, show three answers, stop it
	@$(run) tests/demo.py

.PHONY: new
new: .tools/ready ## make your own service: make new DEST=../orders
	@test -n "$(DEST)" || { echo "found no DEST, expected a new folder: make new DEST=../orders" >&2; exit 2; }
	@test -d "$(DEST)" || test ! -e "$(DEST)" || { echo "found a file $(DEST), expected a new folder" >&2; exit 2; }
	@$(run) tests/new.py copy $(ARGS) --vcs-ref "$$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse HEAD)" "$(CURDIR)" "$(DEST)"

.PHONY: test
test: .tools/tests ## run every check small, half an hour on two cores
	@$(run) -m pytest $(ARGS)

.PHONY: soak
soak: .tools/tests ## run the large numbers and note them in docs/reference/soak.md
	@$(run) tests/soak.py

.PHONY: check
check: .tools/tests ## format, lint and audit this repository
	@$(run) -m ruff format --check .
	@$(run) -m ruff check .
	@.tools/bin/zizmor --offline --quiet --strict-collection .github/workflows template/.github/workflows

.PHONY: bench
bench: .tools/tests ## measure what a render and a request cost, as ratios of processor time
	@$(run) tests/bench/run.py $(ARGS)

.PHONY: release-check
release-check: check test ## all that must hold before a tag: committed, checked, tested, noted
	@test -z "$$(git status --porcelain)" || { echo "found uncommitted changes, expected none" >&2; exit 1; }
	@! git describe --tags --exact-match HEAD 2>/dev/null || { echo "found a tag here already: tags never move" >&2; exit 1; }
	@$(run) hooks/release_notes.py check

.tools/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "found $$($(PYTHON) --version), expected Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 2; }
	@echo "setting up .tools (once)" >&2
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check "$(UV_PIN)"
	@.tools/bin/python -m uv pip install --quiet --python .tools/bin/python --group tools
	@touch $@

# Far larger, a browser's driver among it: who makes a service need not wait for it.
.tools/tests: .tools/ready
	@.tools/bin/python -m uv pip install --quiet --python .tools/bin/python --group test
	@touch $@
