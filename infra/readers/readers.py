"""The readers of docs/READING.md: how to run the statement of each, and what is known to differ in its columns."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from infra.local.settings import ROOT, TOOL_DIRECTORY, TOOLS
from infra.readers.corpus import parse
from tests.e2e.guide import statements

PYTHON = TOOL_DIRECTORY / "readers" / "bin" / "python"
# The programs of debian-packages.txt.
PROGRAMS = TOOL_DIRECTORY / "readers" / "debian" / "bin"
LNAV_FORMAT = ROOT / "infra" / "customer" / "audit-export.lnav.json"
# The statement of a reader, or all traps. On a busy machine, the start of Spark alone takes more than a minute.
READER_SECONDS = 400

Row = dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """A reader, and what is known to differ in the columns of its statement."""

    name: str
    # Runs the statement in a folder with an export; returns the columns of each event.
    run: Callable[[Path], list[Row]]
    # A package in .tools/readers, or else a program in PROGRAMS or among the tools.
    package: str | None = None
    program: str | None = None
    # Its function in naive.py.
    naive: str | None = None
    # Strings in columns of JSON have no quotes.
    bare: bool = False
    # Times are numbers of microseconds.
    instants: bool = False
    # Strings end before U+0000.
    cut: bool = False

    def assert_installed(self) -> None:
        """Fails if the reader can't run here: a skipped reader would prove nothing. install.sh installs all but Java."""
        if self.program:
            assert any((folder / self.program).exists() for folder in (PROGRAMS, TOOLS)), f"no {self.program}"
        if self.package == "pyspark":
            assert shutil.which("java"), "Spark needs Java 17 or newer: apt-get install openjdk-17-jre-headless"

    def version(self) -> str:
        if self.package:
            return python(
                f"import importlib.metadata; print(importlib.metadata.version('{self.package}'))", Path()
            ).strip()
        text = shell(f"{self.program} --version", Path())
        found = re.search(r"\d+\.\d+(\.\d+)?", text)
        assert found, text
        return found[0]

    def reads_escaped_names(self) -> bool:
        """SQLite compared the names of fields as they are written; 3.54 unescapes them."""
        return self.name != "SQLite" or self._number() >= (3, 54)

    def rounds(self) -> bool:
        """jq computes with doubles; from 1.7 on, only if a program does."""
        return self.name == "jq" and self._number() < (1, 7)

    def _number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version().split(".")[:2])

    @property
    def title(self) -> str:
        return f"{self.name} {self.version()}"


def block(tag: str) -> str:
    """Returns the only block of the page with a tag."""
    [found] = statements(tag)
    return found


def environment() -> dict[str, str]:
    """Returns the environment of the readers, in which their programs come first."""
    return os.environ | {
        "PATH": os.pathsep.join([str(PROGRAMS), str(TOOLS), os.environ["PATH"]]),
        "LANG": "C.UTF-8",
        "PYSPARK_PYTHON": str(PYTHON),
        "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def python(program: str, folder: Path, *arguments: object) -> str:
    return _output([PYTHON, "-c", program, *arguments], folder)


def shell(commands: str, folder: Path) -> str:
    return _output(["bash", "-c", f"set -euo pipefail\n{commands}"], folder)


def _output(command: list[object], folder: Path) -> str:
    ran = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=READER_SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4_000:]
    return ran.stdout


def _rows(program: str, folder: Path) -> list[Row]:
    """Runs a program that leaves its rows in rows.json."""
    (folder / "audit_log.py").write_text(block("audit_log.py"))
    python(program, folder)
    return json.loads((folder / "rows.json").read_text())


def _by_python(tag: str, rows: str, folder: Path) -> list[Row]:
    """Runs the page's blocks of Python with a tag, and then takes the rows."""
    blocks = statements(tag)
    if tag in ("datafusion", "daft"):
        blocks.insert(0, block("pyarrow"))
    return _rows("\n".join([*blocks, "import json", f"json.dump({rows}, open('rows.json', 'w'), default=str)"]), folder)


def _by_duckdb(folder: Path) -> list[Row]:
    view = statements("duckdb")[0]
    program = f"""
import duckdb, json
duckdb.sql({view!r})
found = duckdb.sql('SELECT * REPLACE (epoch_us(eventTimestamp) AS eventTimestamp, epoch_us(receivedTimestamp) AS receivedTimestamp) FROM audit_events')
json.dump([dict(zip(found.columns, row)) for row in found.fetchall()], open('rows.json', 'w'), default=str)
"""
    return _rows(program, folder)


def _by_clickhouse(folder: Path) -> list[Row]:
    program = f"""
import json
from chdb.session import Session
session = Session()
view, counts = {statements("clickhouse")!r}
session.query(view)
def rows(query):
    return [json.loads(line) for line in session.query(query, 'JSONEachRow').bytes().decode().split('\\n') if line]
found = rows('SELECT * FROM audit_events')
assert sum(int(row['events']) for row in rows(counts)) == len(found)
json.dump(found, open('rows.json', 'w'))
"""
    return _rows(program, folder)


def _by_sqlite(folder: Path) -> list[Row]:
    shell(block("sqlite"), folder)
    names = re.findall(r"(?:AS |^  )(\w+),?$", block("sqlite"), re.MULTILINE)
    # Its shell ends a text at U+0000, so the columns are printed as hexadecimal.
    columns = ", ".join(f"'\"{name}\": \"' || hex(CAST({name} AS BLOB)) || '\"'" for name in names)
    nulls = ", ".join(f"{name} IS NULL" for name in names)
    text = shell(f"""sqlite3 -separator '' audit-log.db 'SELECT json_array({nulls}) FROM audit_events'""", folder)
    values = _output(["sqlite3", "-separator", ", ", "audit-log.db", f"SELECT {columns} FROM audit_events"], folder)
    rows = []
    for empty, line in zip(text.splitlines(), values.splitlines(), strict=True):
        row = json.loads(f"{{{line}}}")
        rows.append(
            {
                name: None if is_null else bytes.fromhex(value).decode()
                for (name, value), is_null in zip(row.items(), json.loads(empty), strict=True)
            }
        )
    return rows


def flat(folder: Path, program: str = "jaq") -> str:
    """Makes the flat events with jaq, or with jq; returns their text."""
    (folder / "audit-log.jq").write_text(block("audit-log.jq"))
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "jq").unlink(missing_ok=True)
    (programs / "jq").symlink_to(shutil.which(program, path=environment()["PATH"]) or program)
    shell(f"export PATH=$PWD/programs:$PATH\n{block('flat')}{block('lines')}", folder)
    return (folder / "events.ndjson").read_text()


def _by_jq(program: str, folder: Path) -> list[Row]:
    rows = [parse(line) for line in flat(folder, program).split("\n") if line]
    chosen = (folder / "logins.ndjson").read_text()
    every = shell("gunzip -c audit-log/date=*/*.ndjson.gz", folder)
    assert chosen == "".join(f"{line}\n" for line in every.split("\n") if line and parse(line).get("action") == "LOGIN")
    return rows


def _by_miller(folder: Path) -> list[Row]:
    flat(folder)
    rows = [parse(line) for line in shell("mlr --ijsonl --ojsonl cat events.ndjson", folder).split("\n") if line]
    head, *counts = shell(block("miller"), folder).splitlines()
    assert head == "action,count"
    assert sum(int(line.rpartition(",")[2]) for line in counts) == len(rows)
    return rows


def _by_lnav(folder: Path) -> list[Row]:
    flat(folder)
    shell(f"HOME=$PWD lnav -i {LNAV_FORMAT}", folder)
    counts = _lnav(" ".join(block("lnav").split()), folder)
    columns = ", ".join(json.loads(LNAV_FORMAT.read_text())["audit_export"]["value"])
    rows = _lnav(f"SELECT {columns} FROM audit_export", folder)
    assert sum(row["events"] for row in counts) == len(rows)
    return rows


def _lnav(query: str, folder: Path) -> list[Row]:
    shell(f"HOME=$PWD lnav -n -c ';{query}' -c ':write-json-to rows.json' events.ndjson", folder)
    return json.loads((folder / "rows.json").read_text())


READERS = [
    Reader("DuckDB", _by_duckdb, package="duckdb", naive="duckdb", instants=True),
    Reader("ClickHouse", _by_clickhouse, package="chdb-core", naive="clickhouse", bare=True),
    Reader("Polars", partial(_by_python, "polars", "audit_events.collect().to_dicts()"), package="polars", naive="polars"),
    Reader("pandas", partial(_by_python, "pandas", "audit_events.astype(object).where(audit_events.notna(), None).to_dict('records')"), package="pandas", naive="pandas"),
    Reader("PyArrow", partial(_by_python, "pyarrow", "table.to_pylist()"), package="pyarrow", naive="pyarrow"),
    Reader("Spark", partial(_by_python, "spark", "[row.asDict() for row in audit_events.collect()]"), package="pyspark", naive="spark"),
    Reader("DataFusion", partial(_by_python, "datafusion", "context.table('audit_events').to_pylist()"), package="datafusion", naive="datafusion"),
    Reader("Daft", partial(_by_python, "daft", "audit_events.to_pylist()"), package="daft", naive="daft"),
    Reader("jq", partial(_by_jq, "jq"), program="jq", naive="jq"),
    Reader("jaq", partial(_by_jq, "jaq"), program="jaq", naive="jaq"),
    Reader("Miller", _by_miller, program="mlr", naive="miller"),
    Reader("SQLite", _by_sqlite, program="sqlite3", naive="sqlite", cut=True),
    Reader("lnav", _by_lnav, program="lnav", cut=True),
]  # fmt: skip
