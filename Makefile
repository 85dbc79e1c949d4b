# Everything a newcomer needs: `make demo`, `make test`. Python >= 3.11, pip and make are enough.
PYTHON ?= python3
# End-to-end tests partly wait for a lab of their own, so more of them than cores run side by side: with three on two
# cores a quarter of both was idle.
# They take from a millisecond to minutes, so a process gets the next test when it has nearly none left, the long ones
# first; tests that ask about one run stay in one process.
PARALLEL ?= 4
# Exhaustive tests wait longer: for deaths to be noticed, and for what must stay absent.
PARALLEL_EXHAUSTIVE ?= 4
SHARE ?= 15m
VENV := .venv
BIN := $(VENV)/bin
UPGRADE ?= --upgrade

# Workers, and the sandbox of each workflow, import everything again: without compiled files that takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo unit test test-all test-share soak bench check format docs picture lock histories clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Every fresh clone installs the same files: pip refuses what is not in the lock files, or has another hash. The project
# itself has none, so it is installed apart, without dependencies, built with the setuptools of the lock file.
$(BIN)/.app: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Holdfast needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Holdfast into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/.dev: $(BIN)/.app requirements-dev.lock
	@echo "installing the test tools into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(BIN)/.app  ## break a small shop service by service and see which pair takes it down (KEEP=1: leave it up)
	@$(BIN)/holdfast demo $(if $(KEEP),--keep,)

unit: $(BIN)/.dev  ## pure decisions, reports, store on SQLite, command line without a server
	@$(BIN)/python -m pytest -n $(PARALLEL) --dist worksteal -m 'not exhaustive' tests/unit tests/histories

test: $(BIN)/.dev  ## unit, integration on a real Temporal server, end to end on the lab
	@$(BIN)/python -m pytest -p tests.support.scheduling -n $(PARALLEL) --dist loadscope -m 'not exhaustive'

test-all: test  ## everything, the exhaustive tests included
	@$(BIN)/python -m pytest -p tests.support.scheduling -n $(PARALLEL_EXHAUSTIVE) --dist loadscope -m exhaustive

test-share: $(BIN)/.dev  ## a share of the exhaustive tests, 15 minutes of them (SHARE=30m): touched folders first
	@$(BIN)/python -m pytest -p tests.support.scheduling -p tests.support.share --share $(SHARE) -n $(PARALLEL_EXHAUSTIVE) --dist loadscope --no-loadscope-reorder -m exhaustive

soak: $(BIN)/.dev  ## random troubles until the time is over (SOAK=10m, SEED=random); ends with figures and what went wrong
	@$(BIN)/python -m tests.leaks.soak

bench: $(BIN)/.dev  ## measure Holdfast itself and write docs/performance.md (ONLY=5 or ONLY=1,2: some of it)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY),)

check: $(BIN)/.dev  ## linter, formatter check, type checker, layer rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(BIN)/.dev  ## let the formatter and the linter's fixes rewrite the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(BIN)/.dev  ## write docs/cli.md and the two JSON Schemas again, from the code
	@$(BIN)/python -m cli.reference >docs/cli.md
	@$(BIN)/holdfast schema >docs/plan.schema.json
	@$(BIN)/holdfast schema --report >docs/report.schema.json

picture: $(BIN)/.dev  ## take the README's picture of the matrix again, from a demo (needs chromium)
	@$(BIN)/python docs/images/matrix.py

LOCK := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-package holdfast --extra build

lock: $(BIN)/.dev  ## resolve the lock files again (UPGRADE= : keep versions where they still fit)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/$(LOCK) $(UPGRADE) pyproject.toml -o requirements.lock
	@$(BIN)/$(LOCK) $(UPGRADE) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

histories: $(BIN)/.dev  ## record the histories that tests replay again (docs/architecture.md, "Changing a workflow")
	@$(BIN)/python -m tests.support.histories.record

clean:  ## remove the environment and everything that runs left behind
	rm -rf $(VENV) .holdfast build *.egg-info
