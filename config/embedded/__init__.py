"""The parts of a one-machine install: PostgreSQL, Valkey and the processes around them, all under `var/`.

`python -m config.embedded` lists what can be done; docs/install.md and docs/operations.md explain it.
"""
