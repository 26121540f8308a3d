# Needs Python >= 3.11 and make, nothing else. `make help` lists what there is.

PYTHON ?= $(shell command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin

# The environment is made anew when what it was made from changes: the pins, the project's description, the Python,
# the place of this folder (a virtual environment cannot be moved).
KEY := $(shell { cat pyproject.toml requirements.lock; $(PYTHON) -VV; pwd; } | cksum | cut -d ' ' -f 1)
READY := $(VENV)/ready-$(KEY)

# A file's tests stay together, so that what they share is made once.
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test lint format notebooks lab bench gpu torture lock sbom site clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: $(READY)  ## make .venv from the lock (every other target does so by itself)

reproduce: $(READY)  ## run everything there is, notebooks included, and rewrite their outputs
	@$(BIN)/audioplane reproduce

test: lint  ## lint, tests, and that the notebooks still give what they show
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --nbval notebooks

lint: $(READY)  ## style, types, and who imports whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache

format: $(READY)  ## put the code in shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

notebooks: $(READY)  ## only that the notebooks still give what they show
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --nbval notebooks

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

bench: $(READY)  ## speed and memory, as tables
	@for file in $(filter-out benchmarks/gpu.py benchmarks/mutants.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$file || exit 1; done

gpu: $(READY)  ## on a GPU: does all work, and how fast; else what would be done (ARGS=--dry-run)
	$(BIN)/python benchmarks/gpu.py $(ARGS)

torture: $(READY)  ## try to break everything: bad commands, damaged files, kills, full disks (an hour)
	$(BIN)/python -m tests.reliability.torture --table build/torture.md

lock: $(READY)  ## renew requirements.lock after a change of the dependencies (UPGRADE=1: to the newest versions)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate --no-emit-index-url \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --output-file requirements.lock pyproject.toml

site: $(READY)  ## the pages of the site, into site/: notebooks as they ran, guides, API, a head that speaks
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r .ci/site-requirements.txt
	$(BIN)/python .ci/site.py --check

sbom: $(READY)  ## renew sbom.cdx.json after a change of weights or voices
	$(BIN)/python .ci/sbom.py

clean:  ## remove what can be made again, .venv included
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist site *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "audioplane needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	@echo "Making $(VENV) from requirements.lock (once; a few minutes, 3 GB)..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev,notebooks,measures,prepare,speech,tensorboard,completion]'
	@touch $@
