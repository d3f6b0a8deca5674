"""Every bench, one after the other, into bench/README.md: `make bench`. 1 when a target is missed."""

import sys
from pathlib import Path

from bench import flow_run_start, installation, ledger_appends
from bench.table import markdown, plain

README = Path(__file__).parent / "README.md"
_MARK = "<!-- measured -->\n"


def main() -> int:
    """Measure, print, and replace the table."""
    rows = []
    for bench in (installation, flow_run_start, ledger_appends):
        measured = bench.measured()
        print(plain(measured), flush=True)
        rows += measured
    before, _, _ = README.read_text().partition(_MARK)
    README.write_text(f"{before}{_MARK}\n{markdown(rows)}")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
