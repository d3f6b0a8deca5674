#!/bin/bash
# Kinto's own test suite against the throw-away PostgreSQL of the step.
#
# SUITE=all runs it whole; SUITE=ci runs what talks to PostgreSQL most, and the views that the smoke suite asks.
set -euo pipefail
export PYTHONPATH="$PWD/.dependencies:$PWD/.installed"

# the suite insists on port 5432; this checkout is thrown away, so it is pointed at the step's own server
grep --recursive --files-with-matches localhost:5432 tests | xargs sed --in-place "s/localhost:5432/localhost:$PGPORT/"

# kinto asks its own metadata for its version
version="$(sed --quiet 's/^Version: //p' PKG-INFO | head --lines=1)"
wheels="$(mktemp -d)"
UV_DYNAMIC_VERSIONING_BYPASS="$version" python3 -m hatchling build --target wheel --directory "$wheels"
python3 -m zipfile --extract "$wheels"/kinto-*.whl .installed

case "$SUITE" in
  all) selected=(tests) ;;
  ci) selected=(tests/core/test_storage.py tests/core/test_permission.py tests/core/test_views_transaction.py
                tests/test_views_hello.py tests/test_views_version.py tests/test_views_records.py) ;;
  *) echo "SUITE must be 'all' or 'ci', got '$SUITE'" >&2; exit 2 ;;
esac

# no Redis and no memcached here; the embedded PostgreSQL has no uuid-ossp, which only kinto 1.6 asked for
exec python3 -m pytest --quiet --numprocesses 2 --dist loadgroup -p no:cacheprovider --junitxml reports/suite.xml \
  -k "not redis and not memcached and not test_every_available_migration" "${selected[@]}"
