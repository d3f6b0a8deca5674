#!/bin/bash
# A folder with Kinto, all that it needs and its configuration, whose `kinto_command.py` runs from any path.
set -euo pipefail
version="$(sed --quiet 's/^Version: //p' PKG-INFO | head --lines=1)"
tools="$(mktemp -d)"
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --require-hashes --requirement deploy/requirements-build.lock
UV_DYNAMIC_VERSIONING_BYPASS="$version" "$tools/bin/python" -m hatchling build --target wheel --directory "$tools/wheels"
"$tools/bin/pip" install --quiet --no-compile --require-hashes --requirement deploy/requirements.lock --target dist
python3 -m zipfile --extract "$tools"/wheels/kinto-*.whl dist

# console scripts hold the path of the interpreter that installed them, and RECORD their hashes
rm -rf dist/bin dist/*.dist-info/RECORD
cp deploy/kinto.ini deploy/kinto_command.py dist
printf '{"name": "kinto", "version": "%s", "source": "https://github.com/Kinto/kinto"}\n' "$version" > dist/version.json
