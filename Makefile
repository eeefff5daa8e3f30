# Every target is one line that a machine without make can type as it stands (on Windows: .venv\Scripts instead of .venv/bin).
PYTHON ?= python3
STUDY  ?= malmokraften
SITE   ?=
BIN    := .venv/bin
READY  := .venv/requirements.installed

.DEFAULT_GOAL := help
.PHONY: help setup report sensitivity test lint format typecheck benchmark verify verify-quick docs wheelhouse figures notebooks notebooks-html lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## Create .venv and install the locked packages (runs only when the lock has changed)

$(READY): requirements.lock
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; this is ' + sys.version.split()[0] + '. Try: make setup PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

report: setup  ## Build the report of Malmökraften (SITE=site.toml: on delivered registers), or of STUDY=employment-agency
	$(BIN)/malmokraften report $(STUDY) $(if $(SITE),--site "$(SITE)")

sensitivity: setup  ## Ask what would change the conclusion, and build the report with it (a minute or two; goes on where it stopped)
	$(BIN)/malmokraften report $(STUDY) --sensitivity $(if $(SITE),--site "$(SITE)")

test: setup  ## Run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: setup  ## Check the code's style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: setup  ## Put the code in its standard format
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

typecheck: setup  ## Check the types
	$(BIN)/mypy

benchmark: setup  ## Time the design, the effects and the registers; rewrites docs/benchmarks.md
	$(BIN)/python tests/benchmarks/benchmark.py --write docs/benchmarks.md
	$(BIN)/python tests/benchmarks/registers.py --append docs/benchmarks.md
	$(BIN)/python tests/benchmarks/balance.py --append docs/benchmarks.md
	$(BIN)/python tests/benchmarks/matching.py --append docs/benchmarks.md --figure docs/figures/matching_growth.svg

verify: setup  ## Hold the whole road against worlds whose truth is known (about an hour); rewrites docs/validation.md
	$(BIN)/python tests/verification/verify.py --write docs/validation.md

verify-quick: setup  ## The same in a few minutes: fails if a row misses its bound
	$(BIN)/python tests/verification/verify.py --quick

docs: setup  ## Build the documentation into site/; open site/index.html from disk
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheelhouse: setup  ## Collect wheels for installing where there is no network (some 330 MB)
	rm -rf wheelhouse
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock --wheel-dir wheelhouse
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir wheelhouse .
	cd wheelhouse && sha256sum *.whl > SHA256SUMS

figures: setup  ## Draw the README's figure again from the English report
	$(BIN)/malmokraften report employment-agency --quiet && $(BIN)/python docs/figures/draw.py

notebooks: setup  ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks-html: setup  ## Run the notebooks and write them as pages into notebooks/html/
	$(BIN)/jupyter nbconvert --to html --execute --output-dir notebooks/html notebooks/*.ipynb

lock: setup  ## Renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file requirements.lock

clean:  ## Remove what was built: caches and written reports (not .venv, and never a table in data/)
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage reports/*/output
