# Two commands for a newcomer: `make up` and `make test`.  `make help` tells the others.
# Needs Python 3.11 and nothing else; everything it makes lies in .venv and .stemma.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Compiled once when first used, not for every process anew.
unexport PYTHONDONTWRITEBYTECODE

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for name in python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2
WEB := tests/journeys/pages tests/journeys/api

# What is installed is known by a stamp named after what it was installed from, written last: an
# interrupted or outdated installation has none and is gone on with.
SOURCES := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
STACK := $(VENV)/.installed-stack-$(SOURCES)
DEV := $(VENV)/.installed-dev-$(SOURCES)

.PHONY: help
help: ## Tell what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Running ------------------------------------------------------------------------------------

.PHONY: up
up: $(STACK) ## Install, start the local stack, show the whole way of the music (ARGS=--full: all of the corpus)
	@$(BIN)/stemma up $(ARGS)

.PHONY: down
down: ## End every process of the local stack, and nothing else
	@if [ -x $(BIN)/stemma ]; then $(BIN)/stemma down; fi

.PHONY: status
status: ## Tell how each process of the stack fares
	@$(BIN)/stemma status

# --- Installing ---------------------------------------------------------------------------------

.PHONY: install
install: $(STACK) soundfont ## Install what the local stack needs

.PHONY: install-dev
install-dev: $(DEV) soundfont ## Install also what tests and checks need

# An environment without a working pip is one whose making was interrupted.
define make-venv
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed.  Install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment; on Debian install python3-venv."; exit 2; }
endef

# uv installs what pip would, twenty times lighter on the processor; it looks where pip is told to look.
# torch stands in the same call, so that everything is chosen to agree with it.
# tinysoundfont asks for a sound card's library, of which we use nothing.
pip-says = $$($(BIN)/python -m pip config list | sed -nE "s/^[a-z:]+\.$(1)='(.*)'/\1/p" | sed 's/\\n/ /g' | tail -1)
define install
	@echo "Installing [$(1)] into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' constraints.txt)"
	@set_if_said() { test -z "$$2" || export "$$1=$$2"; }; \
	set_if_said UV_DEFAULT_INDEX "$(call pip-says,index-url)"; \
	set_if_said UV_INDEX "$(call pip-says,extra-index-url)"; \
	set_if_said UV_FIND_LINKS "$(call pip-says,find-links)"; \
	set_if_said SSL_CERT_FILE "$(call pip-says,cert)"; \
	uv="$(BIN)/uv pip install --quiet --python $(BIN)/python --index-strategy unsafe-best-match"; \
	$$uv --constraint constraints.txt "$$(grep '^torch==' constraints.txt)" --editable '.[$(1)]'; \
	$$uv --no-deps "$$(grep '^tinysoundfont==' constraints.txt)"
endef

$(STACK):
	$(make-venv)
	$(call install,stack)
	@rm -f $(VENV)/.installed-stack-* && touch $@

$(DEV):
	$(make-venv)
	$(call install,dev)
	@rm -f $(VENV)/.installed-dev-* $(VENV)/.installed-stack-* && touch $@ $(STACK)

.PHONY: soundfont
soundfont: $(STACK) ## Fetch the SoundFont that plays the scores, where there is none
	@$(BIN)/python -c 'from stemma.config import settings; from stemma.music.soundfont import install; install(settings().home)'

.PHONY: browser
browser: $(DEV) ## Install a browser for the journeys, where there is none
	@$(BIN)/python tests/support/browser.py

# --- Checking -----------------------------------------------------------------------------------

.PHONY: test
test: install-dev browser ## Run all tests: without services and with the real engines, then whole journeys
	@$(PYTEST) -m "unit or services" -n $(WORKERS)
	@$(MAKE) --no-print-directory -j2 --output-sync=target journeys-on-the-web journeys-elsewhere

# Journeys go in two lines beside each other, each a session with engines of its own.
.PHONY: journeys-on-the-web journeys-elsewhere
journeys-on-the-web: install-dev browser
	@$(PYTEST) -m journey $(WEB)
journeys-elsewhere: install-dev
	@$(PYTEST) -m journey $(WEB:%=--ignore=%)

.PHONY: coverage
coverage: install-dev browser ## Tell which lines no test reaches (slower than `make test`)
	@$(PYTEST) -m "unit or services" -n $(WORKERS) --cov --cov-report=
	@$(PYTEST) -m journey --cov --cov-append --cov-report=term:skip-covered

.PHONY: test-unit
test-unit: install-dev ## Run the tests that need no service, within a minute
	@$(PYTEST) -m unit -n $(WORKERS) -q

.PHONY: test-api
test-api: install-dev ## Ask the real API for half an hour what its description allows (API_EXAMPLES=n: so many each)
	@API_EXAMPLES=$${API_EXAMPLES:-200} $(PYTEST) -q --timeout 3600 tests/journeys/api

.PHONY: fuzz
fuzz: $(DEV) ## Let a fuzzer make files of catalogs, sounds and websites and read them (FUZZ_SECONDS=n for each reader)
	@$(BIN)/python tests/fuzz/readers.py $${FUZZ_SECONDS:-60}

# --- Kubernetes ---------------------------------------------------------------------------------

CLUSTER ?= $(wildcard ../shared/cluster/cluster)
IMAGES := build/images
PROOFS := $(if $(SMOKE),-m smoke,)

.PHONY: chart
chart: $(DEV) ## Write schema, README and snapshot of the chart anew from its values
	@PYTHONPATH=serving:platform $(BIN)/python charts/reference.py
	@PYTHONPATH=tests $(BIN)/python -m charts.snapshot

.PHONY: test-charts
test-charts: install-dev checkov ## Check the chart as it is rendered, in a minute
	@$(PYTEST) -q -n $(WORKERS) tests/charts

# In an environment of its own: what checkov needs agrees with nothing else.
CHECKOV := $(VENV)/checkov-3.3.30
$(CHECKOV): $(DEV)
	@rm -rf $@ && $(PYTHON) -m venv --without-pip $@ && $(BIN)/uv pip install --quiet --python $@/bin/python "checkov==$(@:$(VENV)/checkov-%=%)"

.PHONY: checkov
checkov: $(CHECKOV)
	@mkdir -p build && for values in charts/stemma/ci/*-values.yaml; do \
		$(BIN)/helm template stemma charts/stemma -n stemma -f $$values >build/rendered.yaml; \
		$(CHECKOV)/bin/checkov --config-file charts/checkov.yaml --skip-download -f build/rendered.yaml; done

.PHONY: images
images: ## Build the images with buildah into build/images (needs root; TARGETS="portal serving engines")
	@OUT=$(IMAGES) infra/images/build.sh $(TARGETS)

# Not part of continuous integration: it needs a cluster, root, and its time.
.PHONY: test-cluster
test-cluster: install-dev images ## Prove the chart on a real cluster (SMOKE=1: install and `helm test` only; CLUSTER=its program)
	@test -n "$(CLUSTER)" || { echo "There is no cluster to start. Set KUBECONFIG and run: $(PYTEST) tests/cluster"; exit 2; }
	@$(if $(SMOKE),,OUT=$(IMAGES) infra/images/build.sh portal-next)
	@trap 'setsid $(CLUSTER) down' EXIT; $(CLUSTER) up; $(CLUSTER) load $(IMAGES)/*.tar; \
		SIMULATED_NODES=1 $(CLUSTER) run $(PYTEST) -vs --timeout 1800 $(PROOFS) tests/cluster

.PHONY: lint
lint: $(DEV) ## Check style, types and who may know whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: fmt
fmt: $(DEV) ## Put the source into its one form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: docs
docs: $(DEV) ## Write the reference of the command line anew and check every link
	@$(BIN)/python -m stemma.cli.reference docs/command-line.md
	@$(PYTEST) -q tests/docs

.PHONY: bench
bench: $(DEV) soundfont ## Measure every claim (CLAIM=id: only that one)
	@$(BIN)/python benchmarks/run.py $(CLAIM)

.PHONY: screenshots
screenshots: install-dev browser ## Take pictures of the pages of the running stack into docs/img
	@PYTHONPATH=tests $(BIN)/python -m support.screenshots

.PHONY: pictures
pictures: install-dev browser ## Walk the journeys of labels, artists and staff; pictures of each step into build/journeys
	@rm -rf build/journeys
	@JOURNEY_PICTURES=build/journeys $(PYTEST) -m journey tests/journeys/pages -k "whole_catalog or joining or case_is_opened"

.PHONY: clean
clean: ## Remove what checks leave behind; .venv and .stemma stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov build dist benchmarks/out
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
