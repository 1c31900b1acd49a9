#!/usr/bin/env python
"""Django's command line for Parley."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError
    from psycopg_pool import PoolTimeout

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if not isinstance(error.__cause__, PoolTimeout):
            raise
        sys.exit(
            "No PostgreSQL answers at DATABASE_URL. For the one that `make run` brings up:\n"
            f"    .venv/bin/python -m config.embedded exec python manage.py {' '.join(sys.argv[1:])}"
        )


if __name__ == "__main__":
    main()
