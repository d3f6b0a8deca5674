"""Every bench, one after the other, into bench/README.md: `make bench`, or some of them: `make bench ONLY=plan`.

The exit code is 1 when a target is missed.
"""

import re
import sys
from importlib import import_module
from pathlib import Path

from bench.table import Row, markdown, plain

README = Path(__file__).parent / "README.md"
BENCHES = (
    "installation",
    "run_start",
    "flow_run_start",
    "ledger_appends",
    "plan",
    "wide_promotion",
    "idle",
    "approval",
    "monorepo",
    "echo_steps",
    "push_to_live",
    "push_to_live_kinto",
    "router",
    "burst",
    "growth",
)
"""Modules of this package, in the order of the tables; each has `measured()`."""


def main(names: list[str]) -> int:
    """Measure, print, and replace the tables of what was measured."""
    unknown = sorted({*names} - {*BENCHES})
    if unknown:
        print(f"there is no bench {', '.join(unknown)}; known are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names or BENCHES:
        measured: list[Row] = import_module(f"bench.{name}").measured()
        print(plain(measured), flush=True)
        README.write_text(with_table(README.read_text(), name, markdown(measured)))
        rows += measured
    return 0 if all(row.holds for row in rows) else 1


def with_table(text: str, name: str, table: str) -> str:
    """The text with that bench's table replaced, or added at the end."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    block = f"{begin}\n### {name}.py\n\n{table}\n{end}"
    found = re.search(re.escape(begin) + ".*?" + re.escape(end), text, re.DOTALL)
    return text[: found.start()] + block + text[found.end() :] if found else f"{text}\n{block}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
