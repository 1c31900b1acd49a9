"""`python -m inference.bench`, the same as `python -m inference bench`."""

from __future__ import annotations

import argparse
import os
import sys

from inference.bench.command import run
from inference.bench.options import add_arguments

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
parser = argparse.ArgumentParser(prog="python -m inference.bench", description="Measure the service beside others.")
add_arguments(parser)
sys.exit(run(parser.parse_args()))
