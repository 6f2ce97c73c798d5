# `make help` lists what there is. Everything is installed into .venv, nothing outside this folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEEDS ?= 0:10000
JOBS ?= 2
# Many tests wait, for brokers and servers that come and go.
TESTERS ?= 4
COUNT ?= 20000
# Tests start a thousand processes: none should compile what the one before it did.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: docker-try help setup provisions demo demo-kafka test coverage sdk-go check format docs sdks bench bench-compare chaos simulate mutants fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml sdk/python/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up $(VENV) (once; about half a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' -e sdk/python
	@touch $@

demo: setup ## run the greeter over HTTP until Ctrl-C
	@$(BIN)/python examples/greeter/demo.py

demo-kafka: setup ## run the greeter from topic names to topic greetings, on a real broker
	@$(BIN)/python examples/greeter_kafka/demo.py

test: setup ## run all tests; what needs Kafka, Java or the stock SDKs is skipped with a loud line where they are missing
	@$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder --ignore=tests/unit/core --ignore=tests/unit/engine
	@$(MAKE) -s coverage

provisions: setup ## fetch and build what the tests need: brokers, servers, SDKs
	@PYTHONPATH=. $(BIN)/python .ci/provisions.py

coverage: setup ## run the tests of core and engine; say which lines and branches of the core they do not reach, fail under the floor of pyproject.toml
	@$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadfile tests/unit/core tests/unit/engine
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

sdk-go: setup ## vet and test the SDK for Go, with the race detector (needs Go 1.22)
	@cd sdk/go && go vet ./... && go test -p 1 -race ./...

check: setup ## lint, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: setup ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup ## write what comes from the code in docs/reference: settings.md, module.schema.json, kafka-properties.md, errors.md
	@$(BIN)/python -m tests.support.pages.settings_page
	@$(BIN)/python -m tests.support.pages.module_schema
	@$(BIN)/python -m tests.support.pages.kafka_properties_page
	@$(BIN)/python -m tests.support.pages.errors_page

sdks: setup ## write docs/reference/sdks.md, what each SDK does with the same requests (needs Node, Go and the stock SDKs)
	@$(BIN)/python -m tests.conformance.sdks.matrix

bench: setup ## measure CPU per message, Kafka to Kafka (needs Java and Maven, and a C compiler)
	@$(BIN)/python -m tests.bench.bench

bench-compare: setup ## the same beside the original, StateFun on Flink (fetched, 400 MB), and at-least-once (20 minutes, on a quiet machine)
	@$(BIN)/python -m tests.bench.beside.compare
	@$(BIN)/python -m tests.bench.beside.plots

simulate: setup ## play simulated histories with faults: make simulate SEEDS=0:10000 JOBS=2
	@$(BIN)/python -m tests.simulation.run --seeds $(SEEDS) --jobs $(JOBS)

mutants: setup ## show that the simulation can fail: planted bugs, each of which must be caught
	@$(BIN)/python -m tests.simulation.mutants --jobs $(JOBS)

fuzz: setup ## load damaged module files, each of which must be read or refused with a position: make fuzz COUNT=20000
	@$(BIN)/python -m tests.fuzz.module_files --count $(COUNT)

chaos: setup ## the long tests with kill -9, frozen processes, full disks and brokers that go away (about fifteen minutes)
	@STATEFUN_CHAOS=full $(BIN)/python -m pytest tests/chaos

docker-try: ## bring the greeter up in containers, kill its worker, and check the greetings (needs Docker or Podman; LOCAL=1: no registry)
	@docker/try.sh greeter || { [ $$? = 77 ] && echo "!!! docker-try SKIPPED: neither docker compose nor podman-compose is there"; }

clean: ## remove what was installed and built here
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
