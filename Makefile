# Each target sets up what it needs first. PYTHON picks the interpreter the environment is made from.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
# Tests of whole rigs wait most of the time: for rails, brokers and processes.
JOBS   ?= 4

.PHONY: demo test lint layers bench soak hil gpio-sim docs lock lock-peers clean help
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(STAMP): requirements/dev.txt pyproject.toml requirements/make-venv
	@requirements/make-venv $(PYTHON) $(VENV)
	@touch $@

demo: $(STAMP) ## capture a simulated stack end to end and show where its pictures are
	@$(BIN)/rigd demo

test: $(STAMP) ## unit, contract, property and fault tests
	@requirements/make-tools
	@requirements/make-picamera2 $(BIN)/python .venv-picamera2 || echo "make test: goes on without genuine picamera2"
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(STAMP) ## ruff, mypy --strict, and the layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

layers: $(STAMP) ## only the import contracts
	@$(BIN)/lint-imports

bench: $(STAMP) ## measure speed, memory and quality against references; writes bench-results/
	@requirements/make-tools
	@requirements/make-bench-peers $(BIN)/python .venv-bench
	@$(BIN)/python -m pytest tests/bench -m bench -s -o timeout=5400

soak: $(STAMP) ## the long run: 200 kills, 50 broker deaths, 100 000 messages
	@requirements/make-tools
	@$(BIN)/python -m pytest tests -m soak -o timeout=7200

hil: $(STAMP) ## contracts and measurements on a bench (RIG=bench.yaml COMPARE=report.json); by default on the simulated one
	@RIGD_BENCH="$(RIG)" RIGD_BENCH_COMPARE="$(COMPARE)" $(BIN)/python -m pytest hil -o timeout=36000

gpio-sim: $(STAMP) ## build and keep a kernel with a simulated gpiochip (3 minutes): from then on `make test` tries pins on it
	@requirements/make-gpio-sim $(BIN)/python

docs: $(STAMP) ## write the documents that are made from the code
	@$(BIN)/python -m tests.make_docs

lock: ## renew requirements/dev.txt (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --generate-hashes \
	    --custom-compile-command "make lock" --upgrade -o requirements/dev.txt

lock-peers: ## renew requirements/peers/*.txt from the versions named beside them (needs uv)
	for peer in focusweave:3.11 rawhdr:3.11 shinestacker:3.12 z-stackr:3.14; do \
	    name=$${peer%%:*}; uv pip compile requirements/peers/$$name.in --universal --python-version $${peer##*:} \
	        --generate-hashes --custom-compile-command "make lock-peers" --upgrade -o requirements/peers/$$name.txt \
	        --no-emit-package pyside6 --no-emit-package pyside6-addons --no-emit-package pyside6-pdf \
	        --no-emit-package pyside6-webengine || exit 1; \
	done

clean: ## remove the environment, caches and what demo and bench wrote
	rm -rf $(VENV) .venv-bench .venv-picamera2 .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info \
	    demo-output bench-results bench-report
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
