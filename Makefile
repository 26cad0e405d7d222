# Targets for people and for CI. Everything installs into .venv; nothing is written outside this folder.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install -q
LOCK   := constraints.txt
ROOMS  := provenance watermark detect ledger cli

.PHONY: demo test lint dev bench clean

demo: $(VENV)/core           ## sign a photo, a film and a recording, lose their credentials, get the truth back
	$(BIN)/assay demo --out assay-demo

test: $(VENV)/test $(VENV)/node   ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/test           ## formatting, lint and strict types of the installed package
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd $(VENV) && bin/python -m mypy --config-file ../pyproject.toml $(foreach r,$(ROOMS),-p assay.$(r))

dev: $(VENV)/test            ## editable install, and a folder of links for editors
	$(PIP) --no-deps -e .
	mkdir -p .dev/assay
	for room in $(ROOMS); do ln -sfn ../../$$room .dev/assay/$$room; done

bench: $(VENV)/test $(VENV)/node          ## tables against peers and limits; with ASSAY_CORPUS also marks and recovery
	$(BIN)/python bench/core.py
	$(BIN)/python bench/ledger.py
	$(BIN)/python bench/gas.py
	$(if $(ASSAY_CORPUS),$(BIN)/python bench/fingerprint.py)
	$(if $(ASSAY_CORPUS),$(BIN)/python bench/recovery.py --photos $(HELD_OUT))
	$(if $(ASSAY_CORPUS),$(BIN)/python bench/watermark.py --photos $(HELD_OUT) --negatives $(HELD_OUT) --crops 500 --limit 26 --against imwatermark-dwtDctSvd,blind)

# Photographs on which nothing was tuned.
HELD_OUT = $(ASSAY_CORPUS)/detect/image/real_deepface $(ASSAY_CORPUS)/detect/image/real_imagenet

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The stamps are rebuilt whenever the project's own files change: tests must see what is in the tree.
SOURCES := pyproject.toml $(LOCK) $(shell find $(ROOMS) -type f ! -name '*.pyc')

$(VENV)/core: $(BIN)/python $(SOURCES)
	$(PIP) -c $(LOCK) '.[av]'
	touch $@

# The marks' peers, and RivaGAN's weights, which come from invisible-watermark; without their dependencies, which are
# the CUDA build of torch and the full OpenCV (docs/adr/0002).
$(VENV)/test: $(BIN)/python $(SOURCES)
	$(PIP) -c $(LOCK) '.[test,lint]' torch
	$(PIP) --no-deps invisible-watermark==0.2.0 blind-watermark==0.4.4
	touch $@

# An EVM node and the Solidity compiler; without npm the tests that need them say so and are left out.
$(VENV)/node: $(BIN)/python tests/node/package.json tests/node/package-lock.json
	mkdir -p $@ && cp tests/node/package.json tests/node/package-lock.json $@/
	if command -v npm > /dev/null; then npm ci --ignore-scripts --prefix $@ --no-audit --no-fund --loglevel=error; \
	else echo 'npm is not on this machine: the tests of the EVM anchor on a real node are left out'; fi
	touch $@

clean:
	rm -rf $(VENV) .dev assay-demo build
