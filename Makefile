# make demo    train on 32-bit strings, solve 1,024-bit ones: the main job in miniature
# make test    the tests, but for the slow ones, on all cores
# make test-slow    the slow ones: whole runs, killed processes, full disks
# make bench   timings, beside the original procedures
# make lint    ruff, mypy, and two checkers of the workflows: jactionlint, a continuation of actionlint, and zizmor
# make docs    the API reference as HTML, in build/docs
# make lock    uv.lock again, with the versions in constraints.txt; needs uv
# Each but the last makes .venv when it is missing. PYTHON=python3.12 make test takes another interpreter.

PYTHON ?= python3
# Processes that run tests side by side.
WORKERS ?= logical
BIN := .venv/bin

.PHONY: demo test test-slow bench lint docs lock clean clean-cache

demo: .venv/installed
	$(BIN)/python -m easy_to_hard.demo --out demo

test: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow

bench: .venv/installed
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-json .benchmarks/latest.json
	$(BIN)/python tests/benchmarks/report.py .benchmarks/latest.json

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/jactionlint --strict-exit --no-hints

docs: .venv/installed
	$(BIN)/python .ci/docs.py build/docs

lock:
	uv lock $$(sed '/^#/d; s/^/--upgrade-package /' constraints.txt)

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[test,lint,docs]"
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .benchmarks demo

# Numba does not notice that a kernel which another one calls has changed.
clean-cache:
	find . -name '*.nbi' -delete -o -name '*.nbc' -delete
