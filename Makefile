# Every target sets up .venv first when needed. `make help` lists them.
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
GOOGLE_PROTOS := .cache/googleapis/.copied

.DEFAULT_GOAL := help
.PHONY: help install run demo test interop bench lint format generate check-generate breaking lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(STAMP): requirements.lock pyproject.toml clients/python/pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(PY) || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e clients/python
	touch $@

# Google's own protos, which ours import, come from the googleapis-common-protos wheel.
$(GOOGLE_PROTOS): $(STAMP)
	rm -rf .cache/googleapis && mkdir -p .cache/googleapis/google
	cp -r "$$($(PY) -c 'import google.api; print(list(google.api.__path__)[0])')" .cache/googleapis/google/
	find .cache/googleapis -name '*.py*' -delete
	touch $@

install: $(STAMP) ## set everything up in .venv

run: $(STAMP) ## start the sandbox, walk the user story, keep serving until Ctrl-C
	$(VENV)/bin/number-verification story --keep-serving --data-dir .sandbox

demo: $(STAMP) ## the same story on free ports, without staying; fails unless every step comes out as it should
	$(VENV)/bin/number-verification story $(foreach listener,http grpc radius admin,--$(listener) 127.0.0.1:0)

# Most of the time goes into waiting for processes that start, stop, hang or come back: four files at a time.
test: $(STAMP) ## all tests, on real engines
	$(PY) -m pytest -n 4 --dist loadfile -m "not interop"

interop: $(STAMP) ## the suites against independent programs
	tests/interop/install.sh
	$(PY) -m pytest -m interop tests/interop

bench: $(STAMP) ## benchmark tables, each beside its baseline of the same run
	PYTHONPATH=tests $(PY) -m bench

lint: $(STAMP) $(GOOGLE_PROTOS) ## ruff, mypy strict, buf lint and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/buf lint
	$(VENV)/bin/buf format --diff --exit-code protos
	$(MAKE) --no-print-directory breaking

# Against the last tag; before the first one, against the parent commit, if the contract stood there.
breaking: $(STAMP) $(GOOGLE_PROTOS) ## no breaking change of the contract
	@base=$$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet HEAD~1 || true); \
	if [ -n "$$base" ] && git cat-file -e "$$base:protos" 2>/dev/null; then \
	  rm -rf .cache/against && mkdir -p .cache/against && git archive "$$base" protos buf.yaml | tar -x -C .cache/against \
	  && mkdir -p .cache/against/.cache && cp -r .cache/googleapis .cache/against/.cache/ \
	  && $(VENV)/bin/buf breaking --against .cache/against; \
	else echo "buf breaking: no earlier state to compare with"; fi

format: $(STAMP) ## format everything
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/buf format -w protos

generate: $(STAMP) $(GOOGLE_PROTOS) ## regenerate what is generated
	$(PY) -m protoc_gen_rest.generate

check-generate: generate ## fail if the committed generated files differ
	git diff --exit-code -- server/number_verification/gen clients/python/number_verification_client/gen
	@test -z "$$(git ls-files --others --exclude-standard -- server/number_verification/gen clients/python/number_verification_client/gen)" \
	  || { echo "generated files that are not committed"; exit 1; }

lock: ## write requirements.lock anew
	$(VENV)/bin/uv pip compile --quiet --group pyproject.toml:dev pyproject.toml clients/python/pyproject.toml \
	  --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 -o requirements.lock

clean: ## remove what is not committed
	rm -rf $(VENV) .cache .sandbox build dist
