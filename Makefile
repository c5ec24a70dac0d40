# What one does with Rollcall from a working copy. `make` alone lists it.
#
# Everything happens in .venv, or where VENV=... says, which is made when needed and made anew when it is broken, was
# interrupted while it was filled, or has been moved. PYTHON=... chooses the Python it is made with.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help up test slow faults locks fuzz browser screenshots pictures words fresh check figures wheels clients bench neighbours large-changes leaving pages apply-file first-person lock clean sound embedded dev

ARGS ?=
VENV ?= .venv
PYTHON ?=

PIP := $(VENV)/bin/python -m pip install -q --disable-pip-version-check --no-input
LOCKED := $(PIP) --no-deps --require-hashes --only-binary :all:
PROJECT := $(PIP) --no-deps --no-build-isolation -e .

help: ## list these targets
	@awk -F ' ## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  make %-12s %s\n", $$1, $$2 }' Makefile

up: embedded ## the whole product on this machine, with engines of its own (ARGS="...")
	@echo "Starting Rollcall ..."; exec $(VENV)/bin/python -m rollcall up $(ARGS)

# In the order of their names: alerts and the like, which look at all tenants, come while there are few of them.
test: dev ## all tests (ARGS="tests/engines -k lock" for some)
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

slow: dev ## what takes seconds each: processes replaced, the story of docker/, the benchmarks in small; not part of "test"
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile --show-capture=no --tb=short -m "slow or not slow" \
		$(or $(ARGS),tests/docker tests/benchmarks $$(grep -l 'mark\.slow' -r tests --include=*.py))

faults: dev ## processes killed and servers gone in the middle of departures: slow, not part of "test"
	@$(VENV)/bin/python -m pytest --show-capture=no --tb=short $(or $(ARGS),tests/faults)

locks: dev ## each pair of ways to change a tenant against each other, three seconds a pair: slow, not part of "test"
	@$(VENV)/bin/python -m pytest --show-capture=no --tb=short $(or $(ARGS),tests/locks)

fuzz: dev ## calls and filters that nobody thought of: slow, not part of "test"
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile --show-capture=no --tb=short $(or $(ARGS),tests/fuzz)

browser: dev ## the console in a real Chromium, which has to be installed, with passkeys; not part of "test"
	@$(VENV)/bin/python -m pytest --show-capture=no --tb=short $(or $(ARGS),tests/browser)

screenshots: dev ## pictures of every page of the console, light and dark, on a phone and a desk, in build/screenshots
	@PYTHONPATH=tests $(VENV)/bin/python -m browser.screenshots build/screenshots $(ARGS)

pictures: dev ## the pictures that the docs show, made anew in docs/pictures
	@PYTHONPATH=tests $(VENV)/bin/python -m browser.screenshots docs/pictures --docs

words: dev ## the catalogue of all that the console says, anew: src/rollcall/console/locale/console.pot
	@sh scripts/words $(VENV)/bin/pybabel src/rollcall/console/locale/console.pot

fresh: dev ## install anew beside an index that offers newer versions of everything; not part of "test"
	@$(VENV)/bin/python -m pytest --tb=short $(or $(ARGS),tests/install)

clients: dev ## other people's provisioning clients, installed for the run, against a running Rollcall; not part of "test"
	@$(VENV)/bin/python -m pytest --tb=short $(or $(ARGS),tests/clients/real)

# pyright comes with its own Node.js; without being told so, it asks a registry whether there is a newer pyright.
check: dev ## style, types, and who may import whom
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 PYRIGHT_PYTHON_FORCE_VERSION= PYRIGHT_PYTHON_PYLANCE_VERSION= \
		$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python
	$(VENV)/bin/lint-imports

figures: dev ## how long files and functions are, what docstrings say, who imports whom in a circle; each has its bound
	@$(VENV)/bin/python scripts/figures.py

bench: dev ## how fast it is, beside bare floors measured in the same run (ARGS="...")
	@$(VENV)/bin/python -m benchmarks $(ARGS)

neighbours: dev ## what one tenant notices while another one works its process hard (ARGS="...")
	@$(VENV)/bin/python -m benchmarks.neighbours $(ARGS)

large-changes: dev ## how long it takes until everybody of a large tenant has another role, with a worker killed (ARGS="...")
	@$(VENV)/bin/python -m benchmarks.large_changes $(ARGS)

leaving: dev ## from "they left" until nobody lets them in and everybody knows (ARGS="...")
	@$(VENV)/bin/python -m benchmarks.leaving $(ARGS)

pages: dev ## how long the server takes for each page of the console, at 100,000 people and a million entries (ARGS="...")
	@$(VENV)/bin/python -m benchmarks.pages $(ARGS)

apply-file: dev ## how long `rollcall tenants apply` takes for ten thousand tenants (ARGS="...")
	@$(VENV)/bin/python -m benchmarks.apply_file $(ARGS)

wheels: sound ## ask the registry whether every locked package has a wheel wherever Rollcall is promised to run
	@sh scripts/wheels $(VENV)/bin/python

first-person: ## from a clean clone to the first person provisioned, in seconds (ARGS="...")
	@python3 -m benchmarks.first_person $(ARGS)

lock: sound ## bring the lock files in line with pyproject.toml (ARGS=--upgrade for newer versions)
	@sh scripts/lock $(VENV)/bin/python $(ARGS)

clean: ## remove the environment and what tools have left; the data in .rollcall stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests benchmarks migrations -name __pycache__ -type d -prune -exec rm -rf {} +

# A lock file names every package there is to install, so pip has nothing to resolve (--no-deps), and what a registry
# serves today can't change what gets installed; "pip check" says whether something is missing all the same.
# A stamp is written when all that it stands for is installed. While packages are being installed $(VENV)/unfinished
# is there, and if it stays, the next run begins anew: pip takes a half-written package for a whole one.

embedded: sound
	@$(MAKE) -s --no-print-directory $(VENV)/embedded.stamp

dev: sound
	@$(MAKE) -s --no-print-directory $(VENV)/dev.stamp

$(VENV)/embedded.stamp: requirements-embedded.lock requirements-build.lock pyproject.toml
	@echo "Installing what Rollcall needs (about a minute, once) ..."
	@touch $(VENV)/unfinished
	@$(LOCKED) -r requirements-embedded.lock -r requirements-build.lock
	@rm $(VENV)/unfinished
	@$(PROJECT)
	@$(VENV)/bin/python -m pip check
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml
	@echo "Installing what developing Rollcall needs (about a minute, once) ..."
	@touch $(VENV)/unfinished
	@$(LOCKED) -r requirements-dev.lock
	@rm $(VENV)/unfinished
	@$(PROJECT)
	@$(VENV)/bin/python -m pip check
	@touch $@

sound:
	@PYTHON="$(PYTHON)" sh scripts/environment $(VENV)
