# ruff: noqa: INP001  # stands beside the packages that it starts
"""Kinto's command line (`start`, `migrate`): `python -m kinto` alone does nothing."""

import sys

from kinto.__main__ import main

sys.exit(main())
