VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
EXTRAS = .[binary,cli,embedded]

.PHONY: demo test chaos check clean

demo: $(READY)
	$(BIN)/jobstate demo

test: $(READY)
	$(BIN)/coverage erase
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=

chaos: $(READY)
	$(BIN)/python -m tests.chaos --write

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
	    uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(EXTRAS)' --group dev; \
	else \
	    python3 -m venv $(VENV) && \
	    $(BIN)/python -m pip install --quiet --upgrade pip && \
	    $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '$(EXTRAS)' --group dev; \
	fi
	touch $@

clean:
	rm -rf $(VENV) .demo
