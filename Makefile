# One command to see it work, one to take it away, one to run every test. Each sets up what is missing.
SHELL := /bin/sh
VENV := .venv
# Another one, where several are installed: make PYTHON=python3.12 install
PYTHON ?= python3
BIN := $(VENV)/bin
DEMO := examples/flask-hello
NAME := flask-hello
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
INSTALLED := $(VENV)/.installed
LOCAL := --cloud local
# Whatever the shell says: an editable install that compiles nothing compiles it all again at every command.
export PYTHONDONTWRITEBYTECODE :=

# Campaigns write and sync thousands of small files: in memory, where there is room and programs may run from it.
MEMORY := $(shell ! findmnt -T /dev/shm -no OPTIONS 2>/dev/null | grep -q noexec && \
  [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4194304 ] 2>/dev/null && echo /dev/shm)
in_memory = @trap 'rm -rf "$$dir"' EXIT; trap 'exit 130' HUP INT TERM; \
  dir=$$(mktemp -d $(or $(MEMORY),/tmp)/tests-XXXXXX) && $(BIN)/pytest -q --basetemp="$$dir" $(1)

.PHONY: help up down install tools check test fast soak bench clean

help:
	@echo "make up      put the demo app online on a droplet of the local cloud"
	@echo "make down    take it away again"
	@echo "make test    every test; make fast: the quick ones without machines; make check: ruff and mypy"
	@echo "make soak    the long campaigns of crashes and faults, in full: hours; writes docs/reliability.md"
	@echo "make bench   measure the speed, next to a hand-made script"

# A fresh Debian or Ubuntu has python3 without venv and pip.
$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  echo "installing python3-venv" >&2; rm -rf $(VENV); \
	  $(SUDO) apt-get -qq update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install python3-venv >/dev/null && \
	  $(PYTHON) -m venv $(VENV); }

$(INSTALLED): $(BIN)/python pyproject.toml requirements.lock
	@echo "installing cloudship into $(VENV)" >&2
	@# Half of what is installed is never imported; what is, is compiled then.
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $(INSTALLED)

install: $(INSTALLED)

up: install
	@url=$$($(BIN)/cloudship list $(LOCAL) --json 2>/dev/null | \
	  $(BIN)/python -c 'import json,sys; print(next((s["url"] for s in json.load(sys.stdin) if s["name"] == "$(NAME)" and s["state"] == "active"), ""))' 2>/dev/null); \
	if [ -z "$$url" ]; then url=$$($(BIN)/cloudship up $(DEMO) --name $(NAME) $(LOCAL)) || exit $$?; fi; \
	if command -v curl >/dev/null; then curl -sS -i "$$url"; \
	else $(BIN)/python -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())' "$$url"; fi; \
	echo; echo "$$url"

down: install
	@$(BIN)/cloudship down $(NAME) $(LOCAL)
	@if [ "$$($(BIN)/cloudship local status --json | $(BIN)/python -c 'import json,sys; print(json.load(sys.stdin)["droplets"])')" = 0 ]; then \
	  $(BIN)/cloudship local stop; fi

check: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

fast: install
	$(call in_memory,-n 4 -m "not booted and not live and not campaign and not slow")

# What tests ask of a machine besides what the local cloud does: foreign filters, and a user who is not root.
tools:
	@{ command -v iptables-legacy && command -v sudo; } >/dev/null || { \
	  $(SUDO) apt-get -qq update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install iptables sudo >/dev/null; }

# The root file system is built by one core, and mypy reads with another.
test: install tools
	@$(BIN)/cloudship local setup --yes & building=$$!; \
	$(MAKE) --no-print-directory check; checked=$$?; wait $$building && exit $$checked
	$(call in_memory,-n 3 --dist load --maxschedchunk 2 -m "not booted and not live")
	@$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "booted or live"

soak: install
	@$(BIN)/cloudship local setup --yes
	@$(BIN)/python docs/make_reliability.py $(ONLY)

bench: install
	@$(BIN)/cloudship local setup --yes
	@$(BIN)/python bench/up.py

clean: down
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
