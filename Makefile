# Two commands matter: `make demo` shows the main job, `make test` proves it. Each does its own set-up.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
FUZZ_MINUTES ?= 5

.PHONY: setup demo test test-long lint bench docs fuzz lock lock-agent clean

setup:
	@PYTHON=$(PYTHON) scripts/setup.sh

demo: setup
	@$(BIN)/python scripts/demo.py

test: lint
	$(PYTEST) -m "not long" tests

test-long: setup
	$(BIN)/python -m pip install --quiet -r requirements/kerberos.in
	$(PYTEST) -m long tests

lint: setup
	@scripts/lint.sh

bench: setup
	$(BIN)/python -m pip install --quiet -r requirements/bench.in
	$(BIN)/python tests/bench/run.py

docs: setup
	$(BIN)/python scripts/generate-docs.py

fuzz: setup
	$(BIN)/python tests/fuzz/run.py --minutes $(FUZZ_MINUTES)

lock: setup
	$(BIN)/python -m pip install --upgrade --quiet -r requirements/dev.in
	$(BIN)/python -m pip freeze > requirements/dev.txt

# The wheels of the agent's bundles, for every platform, with their hashes.
lock-agent: setup
	$(BIN)/python scripts/lock-agent-wheels.py

clean:
	rm -rf build demo .hypothesis
