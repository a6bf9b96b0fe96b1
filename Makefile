VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
EXTRAS = .[binary,cli,embedded]
GROUP ?= dev

.PHONY: demo test test-clouds test-gevent bench chaos docs check clean

demo: $(READY)
	$(BIN)/jobstate demo

test: $(READY)
	$(BIN)/coverage erase
	$(BIN)/pytest -n 3 --dist loadfile --cov --cov-report=
	$(BIN)/coverage report --format=total --fail-under=95

# A quarter of an hour on two idle cores; `make bench QUICK=--quick` needs one minute.
bench: $(READY)
	$(BIN)/python -m benchmarks $(or $(QUICK),--write)

chaos: $(READY)
	$(BIN)/python -m tests.chaos --write

# An environment of its own: the two clouds bring thirty packages that nothing else here needs.
# Without the setting, gcsfs asks an emulator by gRPC first, which it does not speak.
test-clouds:
	$(MAKE) VENV=.venv-clouds GROUP=clouds .venv-clouds/.ready
	GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false \
	    .venv-clouds/bin/pytest tests/assets/test_storage.py --storages gs,az

# An environment of its own: gevent changes the process that it is imported in.
test-gevent:
	$(MAKE) VENV=.venv-gevent GROUP=gevent .venv-gevent/.ready
	.venv-gevent/bin/pytest tests/fates --pools gevent

# The site is in site/. The variable silences what the theme says about releases of MkDocs to come.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile

$(READY): pyproject.toml constraints.txt
	if command -v uv >/dev/null; then \
	    uv venv --quiet --allow-existing $(VENV) && \
	    uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(EXTRAS)' --group $(GROUP); \
	else \
	    python3 -m venv $(VENV) && \
	    $(BIN)/python -m pip install --quiet --upgrade pip && \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '$(EXTRAS)' --group $(GROUP); \
	fi
	touch $@

clean:
	rm -rf $(VENV) .venv-clouds .venv-gevent .benchmarks .demo site
