# `make demo` shows the main job, `make test` proves it. Each runs `setup` first.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
FUZZ_MINUTES ?= 5
WORKERS ?= 3
QUICK := $(addprefix tests/integration/, disk/test_two_claims.py engine/test_independent_reader.py \
	engine/test_jobs_in_one_storage.py engine/test_selection.py playbooks/test_example_inventory.py \
	storage/test_directory_faults.py storage/test_storage_check.py)

.PHONY: setup demo test test-quick test-long lint bench docs fuzz lock lock-agent clean

setup:
	@PYTHON=$(PYTHON) scripts/setup.sh

demo: setup
	@$(BIN)/python scripts/demo.py

# Every linter and every test but the long ones; scripts/test.sh describes how they share the processors.
test: setup
	@WORKERS=$(WORKERS) scripts/test.sh

# For work in between: what linters find at once, all unit tests, and quick integration tests of each wing. Under three
# minutes where nothing else runs.
test-quick: setup
	@scripts/lint.sh ruff yamllint changelog sentences documents
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long and not alone" tests/unit $(QUICK)

# The long tests, and sanity on the oldest and the newest ansible-core of the README.
test-long: setup
	@LONG=1 PYTHON=$(PYTHON) scripts/setup.sh
	$(BIN)/python -m pip install --quiet -r requirements/kerberos.in
	scripts/sanity.sh oldest
	scripts/sanity.sh newest
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
