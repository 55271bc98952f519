# Everything a fresh machine needs is Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup tools demo demo-monitor dashboards test edges model prove simulate chaos rollout mutants removals \
  bench bench-quick bench-all bench-check load docs lint format lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY)  ## virtual environment, hash-pinned dependencies, embedded Apache Kafka

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed, found %s: make PYTHON=/path/to/python3.11" % sys.version.split()[0])'
	@echo "setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/gateway dev kafka --fetch-only
	@touch $@

demo: $(READY)  ## the whole thing on a real Apache Kafka, ending in a verdict (ARGS="--events 5000")
	@$(BIN)/gateway demo $(ARGS)

demo-monitor: $(READY)  ## the demo with Prometheus beside it, up until Ctrl-C (ARGS="--events 5000")
	@command -v prometheus > /dev/null || $(BIN)/python -m deploy.tools prometheus
	@PATH="$$PATH:$(CURDIR)/.tools/prometheus/usr/bin" $(BIN)/gateway demo --monitor --stay $(ARGS)

dashboards: $(READY)  ## write deploy/grafana/*.json anew from the Python beside them
	@$(BIN)/python -m deploy.grafana $(ARGS)

test: $(READY) lint  ## lint, types, and every test
	@$(BIN)/python -m tests $(ARGS)

tools: $(READY)  ## helm, promtool and what else judges deploy/, pinned, into .tools (once; helm is compiled)
	@$(BIN)/python -m deploy.tools $(ARGS)

deploy-check: $(READY) tools  ## chart, image and compose file before helm, Kubernetes' schemas, checkov, hadolint
	@$(BIN)/python -m pytest -q tests/deploy $(ARGS)

edges: $(READY)  ## every fault, the long ones too, and what the gateway does; ends in one line of JSON
	@$(BIN)/python -m tests.edges $(ARGS)

model: $(READY)  ## every state of small worlds around the real lane; ends in one line of JSON
	@$(BIN)/python -m tests.model $(ARGS)

prove: $(READY)  ## each step of the protocol taken out, and what goes red without it; ends in one line of JSON
	@$(BIN)/python -m tests.prove $(ARGS)

SEEDS ?= 10000
simulate: $(READY)  ## whole stories in virtual time, one for each seed (SEEDS=10000); ends in one line of JSON
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

MINUTES ?= 30
chaos: $(READY)  ## kills, stops and cuts on a real Apache Kafka under load (MINUTES=30); ends in one line of JSON
	@$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(ARGS)

rollout: $(READY)  ## the chart's pods updated, drained, killed, scaled under load; ends in one line of JSON
	@$(BIN)/python -m deploy.tools helm
	@$(BIN)/python -m tests.rollout $(ARGS)

mutants: $(READY)  ## the core changed in thousands of small ways: nine of ten must be noticed; ends in one line of JSON
	@$(BIN)/python -m tests.mutants $(ARGS)

removals: $(READY)  ## awaits, checks, guards, handlers of the drivers taken out one at a time; ends in one line of JSON
	@$(BIN)/python -m tests.removals $(ARGS)

bench-quick: $(READY)  ## what an event costs and how late it is, in a minute; ends in one line of JSON
	@$(BIN)/python -m load quick $(ARGS)

bench: $(READY)  ## steady, backlog, single, slow GeNiE, one process joining: 10 minutes
	@$(BIN)/python -m load bench $(ARGS)

bench-all: $(READY)  ## every scenario, a soak of half an hour too
	@$(BIN)/python -m load all $(ARGS)

bench-check: $(READY)  ## fails where an event costs 15 % more than was accepted, and names the stage
	@$(BIN)/python -m load check $(ARGS)

SCENARIO ?= steady
load: $(READY)  ## one scenario (RATE=2000 MINUTES=5 SCENARIO=steady)
	@$(BIN)/python -m load run --scenario $(SCENARIO) $(if $(RATE),--rate $(RATE)) $(if $(filter-out file undefined,$(origin MINUTES)),--minutes $(MINUTES)) $(ARGS)

docs: $(READY)  ## the documentation as a site, in build/site; a link to nowhere ends it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --config-file docs/site/mkdocs.yml

lint: $(READY)  ## formatting, lint, types, import rules
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.txt || { cat $(VENV)/imports.txt; exit 1; }

format: $(READY)  ## rewrite in the project's format
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

lock:  ## resolve every dependency again into requirements.lock (needs uv)
	@uv pip compile --universal --python-version 3.11 --generate-hashes --quiet --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" \
	  --all-extras pyproject.toml --output-file requirements.lock

clean:  ## remove what set-up and tests made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist mutants
