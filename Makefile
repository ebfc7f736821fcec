# Everything a user or maintainer runs. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate
# Without bytecode each of the hundreds of processes that the tests start would compile every module that it imports.
export PYTHONDONTWRITEBYTECODE :=

# Has no wheel for aarch64: deploy/Dockerfile installs a compiler there.
COMPILED := hdrhistogram

.DEFAULT_GOAL := help
.PHONY: platforms versions reliability audit up down verify-files verify-stack stack-memory dashboards drills rules help install demo test check vocabulary format lock bench bench-overhead bench-compare clean

help:  ## list these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Flightdeck needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(STAMP): requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

install: $(STAMP)  ## create .venv with the pinned, hashed requirements and the flightdeck command

demo: $(STAMP)  ## install, load the flights, run five arms under the same traffic, print the effects
	$(BIN)/flightdeck demo $(DEMO)

test: $(DEV_STAMP)  ## run every test
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(TEST)

check: $(DEV_STAMP)  ## format, lint, types, import directions, vocabulary, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m docsgen.reference --check
	$(BIN)/python -m prometheus.build --check
	$(BIN)/python -m grafana.build --check

platforms: $(DEV_STAMP)  ## resolve every requirement file for x86_64 and aarch64; needs the network
	@for platform in x86_64 aarch64; do for file in $(wildcard requirements*.txt); do \
	  echo "$$file for $$platform"; \
	  $(BIN)/uv pip install --quiet --dry-run --target $(VENV)/platforms --require-hashes --python-version 3.13 \
	    --python-platform $$platform-unknown-linux-gnu --only-binary :all: $(patsubst %,--no-binary %,$(COMPILED)) -r $$file || exit 1; \
	done; done

versions: $(DEV_STAMP)  ## test observability with the lowest and the newest versions of what it builds on, and beside pinned ones
	$(BIN)/python -m tests.observability.compat.versions
	$(BIN)/python -m tests.observability.compat.pinned

vocabulary: $(DEV_STAMP)  ## find retired words and typing errors in every file; see docs/glossary.md
	$(BIN)/codespell

up:  ## start the stack in containers, wait until it is healthy, print its addresses; CORE=1 for less
	@$(if $(CORE),COMPOSE_PROFILES=core) python3 -m deploy.preflight
	$(if $(CORE),OTLP_ENDPOINT=) docker compose $(if $(CORE),--profile core) up --detach --build --wait --wait-timeout 600
	@python3 -m deploy.up

down:  ## remove the stack and its data
	docker compose --profile all --profile lab down --volumes

rules: $(STAMP)  ## generate Prometheus rules, alerts and their page from slo.toml
	$(BIN)/python -m prometheus.build

dashboards: $(DEV_STAMP)  ## generate the Grafana dashboards from grafana/boards, slo.toml and the techniques
	$(BIN)/python -m grafana.build

drills: $(STAMP)  ## inject every fault; its alert must fire, be delivered and resolve
	$(BIN)/flightdeck drill run all $(DRILLS)

verify-stack: $(STAMP)  ## check the running stack: every server responds, every signal arrives
	$(if $(CORE),COMPOSE_PROFILES=core) $(BIN)/flightdeck stack verify $(VERIFY)

stack-memory:  ## print the memory of every container of the running stack beside its limit
	@docker stats --no-stream --format 'table {{.MemPerc}}\t{{.MemUsage}}\t{{.Name}}' $$(docker compose ps --quiet) | sort --reverse --numeric-sort

verify-files:  ## validate the configuration of the collector, Tempo and Loki; pulls their images
	docker compose run --rm --no-deps collector validate --config=/etc/otelcol-contrib/config.yaml
	docker compose run --rm --no-deps tempo -config.file=/etc/tempo/tempo.yaml -config.verify=true
	docker compose run --rm --no-deps loki -config.file=/etc/loki/loki.yaml -verify-config=true

format: $(DEV_STAMP)  ## format the code and fix lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(DEV_STAMP)  ## compile the hashed requirement files from pyproject.toml
	$(COMPILE) --extra lab --output-file requirements.txt pyproject.toml requirements-build.in
	$(COMPILE) --constraint requirements.txt --group queue --output-file requirements-service.txt pyproject.toml requirements-build.in
	$(COMPILE) --extra lab --constraint requirements.txt --group load --output-file requirements-load.txt pyproject.toml
	$(COMPILE) --extra lab --constraint requirements.txt --constraint requirements-load.txt --group dev --output-file requirements-dev.txt pyproject.toml

reliability: $(DEV_STAMP)  ## test load, faults and bad input at full length (SOAK seconds); writes docs/reliability.md
	RELIABILITY=1 SOAK=$(SOAK) CASES=$(CASES) $(BIN)/python -m pytest tests/reliability $(RELIABILITY)
	$(BIN)/python -m docsgen.reference

audit: $(DEV_STAMP)  ## query the Python advisory database for every pinned requirement; needs the network
	@rm -f $(VENV)/audit.json
	-@$(BIN)/uv tool run pip-audit==2.10.1 --disable-pip --require-hashes -r requirements.txt --progress-spinner off --format json --output $(VENV)/audit.json
	@$(BIN)/python -m docsgen.audit $(VENV)/audit.json

bench: $(DEV_STAMP)  ## benchmark the service beside what it replaces; RECORD=1 writes docs/benchmarks.md
	$(BIN)/python -m bench $(if $(RECORD),--record)

bench-overhead: $(DEV_STAMP)  ## measure the overhead of instrumentation; fails if it has grown
	$(BIN)/python -m bench.overhead $(if $(RECORD),--record) $(if $(QUICK),--quick)
	$(if $(RECORD),$(BIN)/python -m docsgen.reference)

bench-compare: $(DEV_STAMP)  ## compare services whose difference is known; fails if the interval misses it
	$(BIN)/python -m bench.compare

clean:  ## remove the virtual environment and all generated data
	rm -rf $(VENV) .flightdeck .mypy_cache .ruff_cache .pytest_cache
