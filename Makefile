# `make compare` runs the main job, `make test` the tests; both make the environment first, from locked versions.
PYTHON ?= python3
ENVIRONMENT := .venv
BIN := $(ENVIRONMENT)/bin

.DEFAULT_GOAL := help
.PHONY: help compare test lint format lock clean

help:
	@echo "make compare   race EfficientNetV2-B0 against ResNet-50 on handwritten digits, some minutes on two cores"
	@echo "make test      lint, types, import layers, tests"
	@echo "make format    format the code"
	@echo "make lock      resolve the locked versions anew"

compare: $(ENVIRONMENT)/.runtime
	$(BIN)/photofinish compare efficientnetv2-b0 resnet50 --recipe quick --seeds 2 --output studies/quick

test: lint
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadscope

lint: $(ENVIRONMENT)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(ENVIRONMENT)/.test
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

$(ENVIRONMENT)/.runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "photofinish needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(ENVIRONMENT)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

$(ENVIRONMENT)/.test: requirements/test.txt $(ENVIRONMENT)/.runtime
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/test.txt
	touch $@

# One file for all supported versions of Python and all platforms; needs uv.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
	  pyproject.toml --group test --output-file requirements/test.txt
	uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
	  pyproject.toml --constraint requirements/test.txt --output-file requirements/runtime.txt

clean:
	rm -rf $(ENVIRONMENT) build
