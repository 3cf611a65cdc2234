# Everything a person or a machine does with Mintage. On a fresh machine: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-long test-tools check sweep soak load bench lock assets gallery clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Mintage needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	$(BIN)/mintage demo $(ARGS)

test: setup check
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

test-long: setup
	# Three for two cores: many of them wait, for processes and leases.
	$(BIN)/python -m pytest -n 3 --dist worksteal -m long

# What tests put into a browser, and supabase-js, from the npm registry, by hash. Without them (or Chromium, or
# Node) they are skipped.
test-tools:
	npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --loglevel=error
	npm ci --prefix tests/clients/js --ignore-scripts --no-audit --no-fund --loglevel=error

# The whole of what tests try a part of; takes an hour. SWEEP_PATH, SWEEP_SEED choose for the contract's.
sweep: setup
	$(BIN)/python -m pytest -q tests/contract/sweep.py tests/packs/sweep.py tests/fuzz/sweep.py

# Workers, submitters and PostgreSQL, with a kill every two seconds; then everything is counted.
SOAK_SECONDS ?= 600
SOAK_SEED ?= 1
soak: setup
	$(BIN)/python -m tests.soak.soak $(SOAK_SECONDS) $(SOAK_SEED)

# One machine under mixed work; then everything is counted.
LOAD_SECONDS ?= 1800
LOAD_SEED ?= 1
load: setup
	$(BIN)/python -m tests.load.load $(LOAD_SECONDS) $(LOAD_SEED)

check: setup
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: setup
	$(BIN)/python -m bench.mint
	$(BIN)/python -m bench.submit
	$(BIN)/python -m bench.packs
	$(BIN)/python -m bench.resolve
	$(BIN)/python -m bench.labels

# Dependencies: hashes for every file, no index address. Needs `uv` in the environment.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra demo --extra traces --group dev pyproject.toml -o requirements.lock
	# What a container is given: of the same versions, without what tests need.
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--constraint requirements.lock --extra traces pyproject.toml -o ops/container/run.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--constraint requirements.lock --group build -o ops/container/build.lock

# What the console's pages stand on, copied out of npm packages. Needs Node.
assets:
	npm ci --prefix assets
	$(BIN)/python assets/copy_assets.py

# Pictures of the console's pages in docs/gallery, from a demo. Needs Chromium.
gallery: setup
	$(BIN)/python -m tests.browser.gallery

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
