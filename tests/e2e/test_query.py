"""`audit-export query` with the real DuckDB over every event that the service accepts. No stack is needed here."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from infra.local.settings import TOOLS
from tests.e2e.odd_events import DAY, OddEvent, read, write_accepted


class Desk:
    """A folder with a copy of an export, without its digests."""

    def __init__(self, command: Path, folder: Path) -> None:
        self.command = command
        self.folder = folder
        self.accepted: list[OddEvent] = write_accepted(folder)

    def query(self, sql: str, *options: str) -> subprocess.CompletedProcess[str]:
        path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [self.command, "query", sql, "audit-log", "--unverified", *options],
            cwd=self.folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture
def desk(command: Path, tmp_path: Path) -> Desk:
    return Desk(command, tmp_path)


def test_every_accepted_event_is_in_the_view(desk: Desk) -> None:
    found = desk.query("SELECT id, action, date::VARCHAR AS date FROM audit_events", "--output", "json")
    assert (found.returncode, found.stderr) == (0, "")
    rows = json.loads(found.stdout)
    events = [read(event.line) for event in desk.accepted]
    assert [row["id"] for row in rows] == [event["id"] for event in events]
    assert {row["date"] for row in rows} == {DAY}
    texts = Counter(event["action"] for event in events if isinstance(event.get("action"), str))
    assert texts.items() <= Counter(row["action"] for row in rows).items()


def test_files_of_parquet_have_the_same_rows(desk: Desk) -> None:
    # Every form that the values of the columns may have; text, because a program may not write some numbers back.
    sql = "SELECT * FROM (SELECT COLUMNS(*)::VARCHAR FROM audit_events) ORDER BY ALL"
    of_ndjson = desk.query(sql, "--output", "json")
    path, *others = sorted((desk.folder / "audit-log" / f"date={DAY}").glob("*.ndjson.gz"))
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
    with duckdb.connect() as database:
        database.execute("CREATE TABLE lines (event VARCHAR)")
        database.executemany("INSERT INTO lines VALUES (?)", [[line] for line in lines])
        database.execute(f"COPY lines TO '{path.with_name('0.parquet')}'")
    path.unlink()
    assert others
    of_both = desk.query(sql, "--output", "json")
    assert (of_both.returncode, of_both.stderr) == (0, "")
    assert len(json.loads(of_both.stdout)) == len(desk.accepted)
    assert of_both.stdout == of_ndjson.stdout


def test_results_have_the_form_that_was_asked_for(desk: Desk) -> None:
    counted = str(len(desk.accepted))
    sql = "SELECT count(*) AS events, NULL AS nothing FROM audit_events"
    assert desk.query(sql, "--output", "csv").stdout == f"events,nothing\n{counted},\n"
    assert json.loads(desk.query(sql, "--output", "json").stdout) == [{"events": int(counted), "nothing": None}]
    table = desk.query(sql).stdout
    assert counted in table
    assert "events" in table


def test_a_statement_is_for_duckdb_alone(desk: Desk) -> None:
    quoted = desk.query("SELECT 'it''s $HOME `x`' AS text", "--output", "csv")
    assert quoted.stdout == 'text\n"it\'s $HOME `x`"\n'
    for sql in ("SELECT nothing FROM nowhere", "SELECT 1;\n.shell touch found", "-- x\n.shell touch found"):
        failed = desk.query(sql)
        assert failed.returncode == 16, sql
        assert failed.stderr.endswith("error: DuckDB did not complete the statement: see above\n")
        assert failed.stdout == ""
    assert not (desk.folder / "found").exists()
