"""``python -m tests.bench``: measure every row, print a table, write JSON; 1 if a row misses its bar."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import (
    asof,
    command_line,
    concurrent_writers,
    delivering,
    follow,
    frameworks,
    large_models,
    magics,
    models,
    panel,
    panel_clicks,
    reads,
    runs,
    shadow,
    signatures,
    team,
    writes,
)
from tests.bench.fixtures import Bench, file_system, machine
from tests.bench.measure import Failure, Row, table

ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "import": reads.importing,
    "opening": reads.opening,
    "writes": writes.against_the_disk,
    "mlflow": writes.against_mlflow,
    "runs": runs.runs,
    "files": runs.files,
    "lookup": reads.looking_up,
    "growth": reads.growth,
    "register": models.registering,
    "load": models.loading,
    "first": models.first_prediction,
    "crowd": concurrent_writers.eight_writers,
    "killed": concurrent_writers.killed_writers,
    "signatures": signatures.signatures,
    "frameworks": frameworks.frameworks,
    "magics": magics.magics,
    "cli": command_line.command_line,
    "panel": panel.panel,
    "clicks": panel_clicks.clicking,
    "asof": asof.looking_back,
    "follow": follow.following,
    "deliver": delivering.delivering,
    "shadow": shadow.shadowing,
    "large": large_models.large_models,
    "team": team.team,
    "bucket": team.bucket,
}


def main() -> int:
    """Measure what is asked for."""
    options = _options()
    if file_system(options.dir) in {"tmpfs", "ramfs"}:
        print(f"{options.dir} is in memory, where waiting for the disk costs nothing: choose --dir", file=sys.stderr)
        return 2
    rows: list[Row | Failure] = []
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.dir) as folder:
        Path(folder, ".gitignore").write_text("*\n", encoding="utf-8")  # whoever commits meanwhile leaves it out
        bench = Bench(Path(folder).resolve(), options.quick, options.mlflow_python)
        facts = machine(bench.folder)
        for key in options.only or ROWS:
            print(f"measuring {key} …", file=sys.stderr, flush=True)
            rows += _measured(key, bench)
    print(table(rows))
    print("\n".join(f"{key}: {value}" for key, value in facts.items()))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    written = {"machine": facts, "quick": options.quick, "rows": [row.to_dict() for row in rows]}
    options.json.write_text(json.dumps(written, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    print(f"written to {options.json}")
    return 0 if all(row.holds for row in rows) else 1


def _measured(key: str, bench: Bench) -> list[Row | Failure]:
    """Measure a row; one that fails is a row that misses, and the others are measured nevertheless."""
    rows: list[Row | Failure] = []
    try:
        rows.extend(ROWS[key](bench))
    except Exception as error:
        traceback.print_exc()
        rows.append(Failure(key, f"{type(error).__name__}: {error}"))
    return rows


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer repetitions, for development")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help=f"one of: {', '.join(ROWS)}")
    parser.add_argument("--dir", type=Path, default=Path(), help="a folder on the disk to measure (default: here)")
    parser.add_argument("--mlflow-python", metavar="PATH", help="a Python that has MLflow (default: one is set up)")
    results = Path(__file__).with_name("results") / f"{datetime.now(UTC):%Y-%m-%d}.json"
    parser.add_argument("--json", type=Path, default=results, help="where the figures go (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
