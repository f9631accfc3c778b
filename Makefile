# Everything a person or a machine does with this checkout. `make` alone lists the targets.
# Needs bash, make and Python ≥ 3.11. All that is installed or cached stays inside the checkout.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$p" && break; done)
# The uv on PATH, unless it is older than what wrote uv.lock; then one of our own.
UV := $(shell [ "$$(uv --version 2>/dev/null | cut -d' ' -f2 | cat - <(echo 0.9.8) | sort -V | head -1)" = 0.9.8 ] \
	&& command -v uv || echo $(CURDIR)/.tools/uv/bin/uv)
BIN := $(CURDIR)/.venv/bin

export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_NO_PROGRESS := 1
# A company's own certificates are in the system's store; a machine without one falls back on uv's.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
endif
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export XDG_CACHE_HOME := $(CURDIR)/.cache
export PRE_COMMIT_HOME := $(CURDIR)/.cache/pre-commit
export PYRIGHT_PYTHON_CACHE_DIR := $(CURDIR)/.cache/pyright
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

# Installing and the demo write nothing outside the checkout, not even temporary files. Tests do: below a folder that holds a
# pyproject.toml they would find it.
$(CURDIR)/.tools/uv/bin/uv .venv/.synced demo model: export TMPDIR := $(CURDIR)/.cache/tmp
$(shell mkdir -p $(CURDIR)/.cache/tmp)

.PHONY: help setup demo model test check prove soak bench docs dist wheel lowest

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: .venv/.synced  ## install everything into .venv, exactly as uv.lock says

.venv/.synced: uv.lock pyproject.toml | $(UV)
	@"$(UV)" sync --frozen --python "$(PYTHON)"
	@touch $@

# Reached only where no usable uv is on PATH.
$(CURDIR)/.tools/uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 on PATH; set PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -m venv "$(CURDIR)/.tools/uv"
	@"$(CURDIR)/.tools/uv/bin/pip" install --quiet 'uv>=0.9.8,<1'

demo: setup  ## a real small model answers on this machine: streamed, structured, failed over
	@PYTHONUNBUFFERED=1 "$(BIN)/python" docs/examples/demo.py

model: setup  ## a shell with that model beside it: `llmring chat fast "Hello"` answers in it; `exit` ends both
	@"$(BIN)/python" -m llmring.testing.model_shell

test: setup  ## the whole suite, on two cores at once: no network but loopback
	@"$(BIN)/pytest" --numprocesses=2 --dist=worksteal $(ARGS)

check: setup  ## lint, format, types, layers, lock, generated pages and site; changes nothing
	@"$(BIN)/ruff" check --extend-exclude .cache,.tools .
	@"$(BIN)/ruff" format --check --extend-exclude .cache,.tools .
	@"$(BIN)/pyright"
	@"$(BIN)/lint-imports"
	@"$(UV)" lock --check --offline
	@"$(BIN)/python" docs/generate.py --check --site

prove: setup  ## the reliability runs at full size; writes docs/reliability-report.md
	@LLMRING_PROVE=1 "$(BIN)/pytest" --timeout=1800 $(ARGS)

soak: setup  ## ten minutes of streams that end in every way; its figures go into docs/reliability-report.md
	@"$(BIN)/python" tests/service/soak.py --seconds 600 --report docs/reliability-report.md

bench: setup | $(UV)  ## what a call costs, against bare aiohttp, the vendors' SDKs and the other libraries
	@UV="$(UV)" "$(BIN)/python" -m benchmarks.environments
	@"$(BIN)/python" -m benchmarks $(ARGS)

docs: setup  ## write the generated pages anew and build the site; a warning is an error
	@"$(BIN)/python" docs/generate.py --site

dist: setup  ## wheel, sdist and bill of materials into dist/, the same bytes from the same commit
	@rm -rf dist
	@"$(BIN)/python" .ci/dist.py dist
	@"$(UV)" export --quiet --frozen --no-default-groups --all-extras --format cyclonedx1.5 2>/dev/null \
		| "$(BIN)/python" .ci/sbom.py > dist/llmring.cdx.json

wheel: dist  ## the tests again, against the wheel, with src out of the way
	@"$(BIN)/python" .ci/wheel_test.py "$(UV)" dist

lowest: setup  ## the tests again, with the oldest versions that pyproject.toml allows
	@"$(UV)" venv --quiet --clear --python "$(PYTHON)" .cache/lowest
	@"$(UV)" pip compile --quiet --resolution lowest-direct --extra all pyproject.toml --output-file .cache/lowest/oldest.txt
	@"$(UV)" pip install --quiet --compile-bytecode --python .cache/lowest --constraints .cache/lowest/oldest.txt \
		--group dev --group model --editable '.[all]'
	@# Left out: pages and releases are about this checkout, and formats are judged by the vendors' newest types.
	@.cache/lowest/bin/pytest --ignore=tests/docs --ignore=tests/release --ignore-glob='*/test_oracle_*' $(ARGS)
