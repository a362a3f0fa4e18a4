# Each target makes .venv and installs what it needs, and does so again only when pyproject.toml,
# the Python or the Django asked for has changed. By default: python3 and the newest Django.
#
#   make demo                     take a Django project through a migration that fails, and more
#   make test                     run the tests
#   make test ARGS="-k lease"     run some of them
#   make test PYTHON=python3.13 DJANGO="django~=6.0"
#   make test DJANGO="django~=5.2.0 django-cockroachdb~=5.2.0"
#   make test-cockroachdb COCKROACH_BINARY=/usr/local/bin/cockroach
#   make check                    lint, types, prose, generated files, imports, documentation
#   make format                   format the code
#   make generate                 write the generated modules and the page of rules again
#   make bench                    run the benchmarks and write their page
#   make dist                     build the release files, and try the wheel
#   make clean                    remove .venv

PYTHON ?= python3
DJANGO ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

# What .venv was made for: another Python or Django makes it again.
WANTED := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])') $(DJANGO)
MADE := $(shell cat $(VENV)/made-for 2>/dev/null)
ifneq ($(strip $(WANTED)),$(strip $(MADE)))
.PHONY: $(VENV)/made-for
endif

.PHONY: help demo test test-cockroachdb check dist bench generate format clean
help:
	@sed -n 's/^#  *\(make .*\)/\1/p' Makefile

demo: $(VENV)/for-demo
	$(BIN)/python example_project/demo.py $(ARGS)

# Much of a test is waiting: a few more workers than cores keep them busy.
WORKERS ?= 4

test: $(VENV)/for-test
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# The same suite on a CockroachDB of its own, in memory, gone afterwards.
test-cockroachdb: export COCKROACH_BINARY := $(COCKROACH_BINARY)
test-cockroachdb: $(VENV)/for-test
	@test -x "$(COCKROACH_BINARY)" || \
	    { echo "Name the program: make test-cockroachdb COCKROACH_BINARY=/path/to/cockroach" >&2; exit 2; }
	env -u MANTICORE_TEST_URL $(MAKE) test

check: $(VENV)/for-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/unasync.py --check
	$(BIN)/python tools/rules_page.py --check
	$(BIN)/codespell
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/docs/test_prose.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/mkdocs build --strict --quiet --site-dir $(VENV)/site

# Builds the release files, and tries the wheel as a user would: in an empty environment.
dist: $(VENV)/for-check
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tools/check_wheel.py dist/*.whl

bench: $(VENV)/for-bench
	$(BIN)/python -m benchmarks $(ARGS)

generate: $(VENV)/for-test
	$(BIN)/python tools/unasync.py
	$(BIN)/python tools/rules_page.py

format: $(VENV)/for-check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV)

$(VENV)/made-for:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	    "Python 3.11 or later is needed: name one with PYTHON=python3.13, for example.")'
	$(PYTHON) -m venv --clear $(VENV)
	@echo '$(strip $(WANTED))' > $@

$(VENV)/for-demo: EXTRAS := django,server
$(VENV)/for-test: EXTRAS := django,server,test
$(VENV)/for-check: EXTRAS := django,server,telemetry,test,docs,dev
$(VENV)/for-bench: EXTRAS := django,server,bench
$(VENV)/for-%: pyproject.toml $(VENV)/made-for
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --editable '.[$(EXTRAS)]' $(foreach requirement,$(DJANGO),'$(requirement)')
	@touch $@
