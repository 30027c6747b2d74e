# `make demo` and `make test` are the two to know; `make help` lists the rest.
#
# Everything lives in one virtual environment, $(VENV): `make demo` puts in what stylising needs, the other targets add what
# training and the checks need. It is made once and brought up to date when pyproject.toml or constraints.txt change.

VENV ?= .venv
# The interpreter to make the environment with; unset, the first Python 3.11 or newer on the PATH.
PYTHON ?=
# For `make demo-train`: any picture as the painting and any folder of photos; unset, pictures that scikit-image ships.
PAINTING ?=
PHOTOS ?=
STEPS ?= 300
PYTEST_ARGS ?=

BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := $(BIN)/python
PIP_INSTALL := $(RUN) -m pip install --disable-pip-version-check --constraint constraints.txt
# One torch thread a worker: more workers than cores, or more threads than cores, only slow each other down.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-train test test-all coverage lint format types check wheel

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo "  Settings: VENV, PYTHON, PYTEST_ARGS; for demo-train PAINTING, PHOTOS, STEPS"

demo: $(VENV)/.installed-base ## stylise photographs with every shipped style: demo/contact_sheet.png, demo/times.md
	$(RUN) benchmarks/demo.py --output demo

demo-train: $(VENV)/.installed-dev ## train a new style for a few minutes and stylise with it
	$(RUN) benchmarks/sample_pictures.py demo/pictures
	$(BIN)/fststyle train "$(or $(PAINTING),demo/pictures/painting.png)" --photos "$(or $(PHOTOS),demo/pictures/photos)" \
		--name demo --start starry_night --size 128 --batch 2 --style-scale 2 --steps $(STEPS) --out demo/trained --force
	$(BIN)/fststyle stylize demo/pictures/unseen --style demo/trained/demo.onnx -o demo/trained/pictures --force

test: $(VENV)/.installed-dev ## install what the tests need, and run all but the slow ones
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-all: $(VENV)/.installed-dev ## run all the tests
	$(PYTEST) --timeout=1800 $(PYTEST_ARGS)

coverage: $(VENV)/.installed-dev ## the tests, and which lines they do not reach
	$(PYTEST) --cov -m "not slow" $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## formatting and lint, changing nothing
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .

format: $(VENV)/.installed-dev ## format, and mend what lint can mend
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

types: $(VENV)/.installed-dev ## mypy --strict
	$(RUN) -m mypy --strict fststyle

check: lint types test ## lint, types and tests

wheel: $(VENV)/.installed-dev ## build the source distribution and the wheel, and check what the wheel holds
	$(RUN) -m build --outdir dist
	$(RUN) .ci/check_wheel.py dist

# An environment that works is kept, whoever made it; one that an interrupted run left half-made is made again.
$(VENV)/.created:
	@"$(RUN)" -m pip --version >/dev/null 2>&1 || { \
		for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11 python3.14 python); do \
			if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				echo "making $(VENV) with $$("$$python" --version)"; \
				"$$python" -m venv "$(VENV)"; exit; \
			fi; \
		done; \
		echo "$(if $(PYTHON),$(PYTHON) is not,found no) Python 3.11 or newer with the venv and ensurepip modules (on" \
			"Debian and Ubuntu: apt install python3-venv); name one with make PYTHON=/path/to/python3.11" >&2; \
		exit 1; }
	@touch "$@"

$(VENV)/.installed-base: $(VENV)/.created pyproject.toml setup.py constraints.txt
	$(PIP_INSTALL) --editable . scikit-image
	@touch "$@"

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml setup.py constraints.txt
	$(PIP_INSTALL) --editable ".[dev]"
	@touch "$@"
