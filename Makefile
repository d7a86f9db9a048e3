# Everything that a newcomer or CI needs. PYTHON picks the interpreter, JOBS the test processes:
#   make test PYTHON=python3.12 JOBS=8
PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench clean

help:  ## list these targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 10

demo: $(VENV)/.installed-bench  ## install, then train real models with several optimizers and show who did what
	$(BIN)/descend compare

# One torch thread a process unless a test asks for more: teams of threads that outnumber the cores wait for
# each other in every parallel region.
test: lint  ## lint, types and every test, as CI runs them
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev  ## ruff (lint and format) and pyright
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

format: $(VENV)/.installed-dev  ## rewrite the code as `make lint` wants it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev  ## time one step of every optimizer against torch (about 5 minutes, on an idle machine)
	$(BIN)/python benchmarks/step.py

clean:  ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis dist
	find src tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

# A stamp for each extra, so that a second call installs nothing; dev contains bench.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[$*]" --constraint constraints.txt
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
