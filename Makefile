# Everything a person does with Parley. `make` alone lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that `make test` is divided into: each brings up all of Parley, so that more need more memory than processors.
JOBS ?= 2
CODE := accounts billing chat config feedback inference tests
export VENV TORCH TORCH_INDEX

.DEFAULT_GOAL := help
.PHONY: help run install develop test coverage lint format bench faults audit clean

help: ## List what can be done
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## Install what is missing, start everything, print the address and follow the logs
	@exec "$(BIN)/python" -m config.embedded run

install:
	@"$(PYTHON)" config/embedded/install.py

develop:
	@"$(PYTHON)" config/embedded/install.py dev
	@"$(BIN)/python" -m tests.stack.chromium

test: develop lint ## Set up what the tests need, check the code and run every test
	@"$(BIN)/python" -m inference fetch
	@"$(BIN)/python" -m pytest --ignore tests/bench --ignore tests/faults/api -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations=20 $(COVERAGE)

coverage: COVERAGE = --cov --cov-report=term:skip-covered
coverage: test ## The same, and show which lines no test comes by

lint: develop ## Check imports, style, types and translations
	@"$(BIN)/lint-imports"
	@"$(BIN)/ruff" check $(CODE)
	@"$(BIN)/ruff" format --check $(CODE)
	@"$(BIN)/mypy" $(filter-out tests,$(CODE))
	@"$(BIN)/python" manage.py compile_catalogues --check

format: develop ## Put the code into our style
	@"$(BIN)/ruff" check --fix $(CODE)
	@"$(BIN)/ruff" format $(CODE)

bench: export TEST_DURABLE ?= 1
bench: develop ## Measure, and print the figures of docs/performance.md
	@"$(BIN)/python" -m inference fetch
	@"$(BIN)/python" -m pytest tests/bench --override-ini=testpaths=tests/bench -s

# The sizes that the figures in docs/ are made of; `make test` runs the same tests small. Hours: give smaller ones for less.
faults: export FAULTS ?= long
faults: export FAULT_EVENTS ?= 10000
faults: export FAULT_SEEDS ?= 3
faults: export API_EXAMPLES ?= 60
faults: export API_JOURNEYS ?= 400
faults: export QUOTA_ROUNDS ?= 1000
faults: export RECONCILE_SUBSCRIPTIONS ?= 10000
faults: export JOURNEYS ?= 200
faults: export JOURNEY_STEPS ?= 25
faults: export YEAR_SUBSCRIPTIONS ?= 1000
faults: export YEAR_MONTHS ?= 13
faults: export RELEASE_KILLS ?= 50
faults: export READERS_AT_ONCE ?= 50
faults: export DROPS_REPLIES ?= 100
faults: export DROPS_SECONDS ?= 1
faults: export DROPS_TOKENS ?= 512
faults: develop ## Kill every process in the middle of its work, long, and see that nothing is lost
	@"$(BIN)/python" -m inference fetch
	@"$(BIN)/python" -m pytest tests/faults
	@CONSENT_HISTORIES=10000 CONSENT_WALKS=1000 "$(BIN)/python" -m pytest tests/integration/feedback/test_consent_in_releases.py \
	  tests/integration/feedback/test_consent_histories.py

audit: develop ## Look for known holes in packages, in the code and in the settings of a site behind https
	@mkdir -p build
	@"$(BIN)/pip" install -q pip-audit==2.10.1 bandit==1.9.4
	@"$(BIN)/ruff" check --select S $(filter-out tests,$(CODE))
	@"$(BIN)/bandit" -q -c pyproject.toml -r $(filter-out tests,$(CODE))
	@SITE_URL=https://parley.example "$(BIN)/python" manage.py check --deploy --fail-level WARNING
	@"$(BIN)/pip-audit" --skip-editable --progress-spinner off >build/pip-audit.txt 2>&1 || { cat build/pip-audit.txt; \
	  echo "pip-audit found holes (above), or could not ask PyPI for them: it needs the internet." >&2; exit 1; }
	@if grep -qi '^django .*could not be audited' build/pip-audit.txt; then \
	  echo "The package index here does not say which holes are known, so nothing was compared: ask PyPI itself." >&2; \
	  exit 1; fi

clean: ## Remove what was built; what people wrote (var/) stays
	rm -rf "$(VENV)" build htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf var/static
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
	find locale -name '*.mo' -delete 2>/dev/null || true
