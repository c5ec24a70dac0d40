# What one does with Rollcall from a working copy. `make` alone lists it.
#
# Everything happens in .venv, which is made when needed and made anew when it is broken, was interrupted while
# it was filled, or has been moved. PYTHON=... chooses the Python it is made with.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help up test faults browser check bench leaving first-person lock clean sound embedded dev

ARGS ?=

PIP := .venv/bin/python -m pip install -q --disable-pip-version-check --no-input
LOCKED := $(PIP) --no-deps --require-hashes
PROJECT := $(PIP) --no-deps --no-build-isolation -e .

help: ## list these targets
	@awk -F ' ## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  make %-12s %s\n", $$1, $$2 }' Makefile

up: embedded ## the whole product on this machine, with engines of its own (ARGS="...")
	@echo "Starting Rollcall ..."; exec .venv/bin/python -m rollcall up $(ARGS)

test: dev ## all tests (ARGS="tests/engines -k lock" for some)
	@.venv/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

faults: dev ## processes killed and servers gone in the middle of departures: slow, not part of "test"
	@.venv/bin/python -m pytest --show-capture=no --tb=short $(or $(ARGS),tests/faults)

browser: dev ## the console in a real Chromium, which has to be installed, with passkeys; not part of "test"
	@.venv/bin/python -m pytest --show-capture=no --tb=short $(or $(ARGS),tests/browser)

check: dev ## style, types, and who may import whom
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright
	.venv/bin/lint-imports

bench: dev ## how fast it is, beside bare floors measured in the same run (ARGS="...")
	@.venv/bin/python -m benchmarks $(ARGS)

leaving: dev ## from "they left" until nobody lets them in and everybody knows (ARGS="...")
	@.venv/bin/python -m benchmarks.leaving $(ARGS)

first-person: ## from a clean clone to the first person provisioned, in seconds (ARGS="...")
	@python3 -m benchmarks.first_person $(ARGS)

lock: sound ## bring the lock files in line with pyproject.toml (ARGS=--upgrade for newer versions)
	@set -e; \
	if command -v uv >/dev/null 2>&1; then uv=uv; else \
		place=$$(mktemp -d); trap 'rm -rf "$$place"' EXIT; \
		.venv/bin/python -m venv "$$place"; \
		"$$place/bin/python" -m pip install -q --disable-pip-version-check --no-input uv; \
		uv="$$place/bin/uv"; \
	fi; \
	compile() { "$$uv" pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 $(ARGS) "$$@"; }; \
	compile pyproject.toml --extra embedded --group dev -o requirements-dev.lock; \
	compile pyproject.toml --extra embedded -c requirements-dev.lock -o requirements-embedded.lock; \
	compile pyproject.toml -c requirements-dev.lock -o requirements.lock; \
	printf 'hatchling==1.33.0\neditables\n' | compile - -c requirements-dev.lock -o requirements-build.lock

clean: ## remove .venv and what tools have left; the data in .rollcall stays
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests benchmarks migrations -name __pycache__ -type d -prune -exec rm -rf {} +

# A lock file names every package there is to install, so pip has nothing to resolve (--no-deps), and what a registry
# serves today can't change what gets installed; "pip check" says whether something is missing all the same.
# A stamp is written when all that it stands for is installed. While packages are being installed .venv/unfinished
# is there, and if it stays, the next run begins anew: pip takes a half-written package for a whole one.

embedded: sound
	@$(MAKE) -s --no-print-directory .venv/embedded.stamp

dev: sound
	@$(MAKE) -s --no-print-directory .venv/dev.stamp

.venv/embedded.stamp: requirements-embedded.lock requirements-build.lock pyproject.toml
	@echo "Installing what Rollcall needs (about a minute, once) ..."
	@touch .venv/unfinished
	@$(LOCKED) -r requirements-embedded.lock -r requirements-build.lock
	@rm .venv/unfinished
	@$(PROJECT)
	@.venv/bin/python -m pip check
	@touch $@

.venv/dev.stamp: requirements-dev.lock pyproject.toml
	@echo "Installing what developing Rollcall needs (about a minute, once) ..."
	@touch .venv/unfinished
	@$(LOCKED) -r requirements-dev.lock
	@rm .venv/unfinished
	@$(PROJECT)
	@.venv/bin/python -m pip check
	@touch $@

# The path is looked at because scripts in a moved .venv, and its way to our sources, still lead to the old place.
sound:
	@if [ -d .venv ] && ! { \
		.venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		&& [ ! -e .venv/unfinished ] \
		&& { [ ! -e .venv/place ] || [ "$$(cat .venv/place)" = "$$(pwd -P)" ]; }; \
	}; then \
		echo "The .venv here is incomplete, broken or moved; making it anew."; \
		rm -rf .venv; \
	fi; \
	[ -d .venv ] && exit 0; \
	if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; else set -- python3.13 python3.12 python3.11 python3; fi; \
	fitting=; chosen=; \
	for name; do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		fitting="$$name"; \
		"$$name" -c 'import ensurepip, venv' 2>/dev/null || continue; \
		chosen="$$name"; break; \
	done; \
	if [ -z "$$fitting" ]; then \
		echo "Rollcall needs Python 3.11 or newer. Looked at: $$*" >&2; \
		echo "Install one, or name one: make PYTHON=/path/to/python3.13 ..." >&2; \
		exit 1; \
	fi; \
	if [ -z "$$chosen" ]; then \
		echo "$$fitting cannot make virtual environments: its modules venv and ensurepip are missing." >&2; \
		echo "On Debian and Ubuntu: apt install python3-venv (or python3.13-venv for python3.13, and so on)." >&2; \
		exit 1; \
	fi; \
	mkdir .venv && touch .venv/unfinished \
		&& "$$chosen" -m venv .venv && pwd -P >.venv/place && rm .venv/unfinished
