#!/bin/bash
# Everything that the suite imports, into a folder that works from any path.
set -euo pipefail
tools="$(mktemp -d)"
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --no-compile --require-hashes --requirement deploy/requirements-test.lock --target .dependencies
