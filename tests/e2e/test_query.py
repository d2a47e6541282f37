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
from tests.e2e.odd_events import DAY, OddEvent, read, write_accepted, write_lines


class Desk:
    """A folder with a copy of an export, without its digests."""

    def __init__(self, command: Path, folder: Path, lines: list[str] | None = None) -> None:
        self.command = command
        self.folder = folder
        self.accepted: list[OddEvent] = []
        if lines is None:
            self.accepted = write_accepted(folder)
        else:
            write_lines(folder, lines)

    def query(self, sql: str, *options: str) -> subprocess.CompletedProcess[str]:
        path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [self.command, "query", sql, self.folder / "audit-log", "--unverified", *options],
            cwd=self.folder, env=os.environ | {"PATH": path, "TZ": "America/New_York"}, capture_output=True, text=True, timeout=60, check=False,
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


LINES = "SELECT event FROM audit_lines ORDER BY ALL"


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "both"])
def test_the_lines_of_every_format_are_in_the_second_view(kind: str, desk: Desk) -> None:
    if kind == "both":
        of_parquet(desk.folder, only_first=True)
    elif kind == "parquet":
        of_parquet(desk.folder)
    found = desk.query(LINES, "--output", "json")
    assert (found.returncode, found.stderr) == (0, "")
    lines = [row["event"] for row in json.loads(found.stdout)]
    assert lines == sorted((event.line for event in desk.accepted), key=str.encode)
    columns = desk.query("SELECT column_name FROM (DESCRIBE audit_lines)", "--output", "csv").stdout.split()
    assert columns == ["column_name", "date", "event", "json"]
    # A field that is in no column, and the same events as of the other view in a period.
    [field] = json.loads(desk.query("SELECT count(json -> 'a') AS events FROM audit_lines", "--output", "json").stdout)
    assert field["events"] == sum("a" in read(line) for line in lines) > 20
    counts = "SELECT (SELECT count(*) FROM audit_lines) AS lines, (SELECT count(*) FROM audit_events) AS events"
    for option, bound in (("--since", "2026-01-31T23:59:59.2Z"), ("--until", "2026-01-31T23:59:59Z")):
        [row] = json.loads(desk.query(counts, option, bound, "--output", "json").stdout)
        assert row["lines"] == row["events"]
        assert 0 < row["lines"] < len(desk.accepted)


def of_parquet(folder: Path, only_first: bool = False) -> None:
    """Replaces each file, or the first, by one of Parquet with the same lines."""
    for path in sorted((folder / "audit-log").glob("date=*/*.ndjson.gz"))[: 1 if only_first else None]:
        lines = gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
        with duckdb.connect() as database:
            database.execute("CREATE TABLE lines (event VARCHAR)")
            database.executemany("INSERT INTO lines VALUES (?)", [[line] for line in lines])
            database.execute(f"COPY lines TO '{path.with_name(path.name.replace('ndjson.gz', 'parquet'))}'")
        path.unlink()


@pytest.mark.parametrize("is_parquet", [False, True], ids=["ndjson", "parquet"])
def test_neither_the_folders_above_nor_the_time_zone_change_the_rows(
    is_parquet: bool, command: Path, tmp_path: Path
) -> None:
    event = {"id": "1", "eventTimestamp": "2026-02-01T01:00:00+02:00", "tenantId": "acme"}
    desk = Desk(
        command, tmp_path / "id=backup" / "tenantId=x" / "env=prod" / "date=2020-01-01", [json.dumps(event)] * 2
    )
    if is_parquet:
        of_parquet(desk.folder)
    columns = "id, tenantId, date::VARCHAR AS date, eventTimestamp::VARCHAR AS time"
    found = desk.query(f"SELECT {columns} FROM audit_events", "--output", "csv")
    row = f"1,acme,{DAY},2026-01-31 23:00:00+00\n"
    assert (found.stdout, found.stderr) == (f"id,tenantId,date,time\n{row}{row}", "")
    described = desk.query("SELECT column_name FROM (DESCRIBE audit_events)", "--output", "csv").stdout.split()
    assert "env" not in described
    assert "filename" not in described
    # The period is that of the times, not of the days.
    for period, count in {"--since": "2026-01-31T23:00:00Z", "--until": "2026-01-31T23:00:00Z"}.items():
        counted = desk.query("SELECT count(*) AS n FROM audit_events", period, count, "--output", "csv").stdout
        assert counted == ("n\n2\n" if period == "--since" else "n\n0\n")


@pytest.mark.parametrize("is_parquet", [False, True], ids=["ndjson", "parquet"])
def test_lines_of_earlier_versions_are_rows(is_parquet: bool, command: Path, tmp_path: Path) -> None:
    good = '{"id":"good","action":"LOGIN"}'
    half = r'{"id":"half","action":"\ud800"}'
    twice = '{"id":"twice","action":"LOGIN","action":"QUERY"}'
    desk = Desk(command, tmp_path, [good, half, twice, good])
    if is_parquet:
        of_parquet(desk.folder)
    found = desk.query(
        "SELECT id, action, date::VARCHAR AS date FROM audit_events ORDER BY ALL NULLS LAST", "--output", "csv"
    )
    rows = f"good,LOGIN,{DAY}\ngood,LOGIN,{DAY}\ntwice,LOGIN,{DAY}\n,,{DAY}\n"
    assert (found.returncode, found.stdout, found.stderr) == (0, f"id,action,date\n{rows}", "")
    unread = desk.query("SELECT count(*) AS n FROM audit_events WHERE id IS NULL", "--output", "csv")
    assert unread.stdout == "n\n1\n"
    ids = desk.query("SELECT json ->> 'id' AS id FROM audit_lines ORDER BY ALL NULLS LAST", "--output", "json")
    assert [row["id"] for row in json.loads(ids.stdout)] == ["good", "good", "twice", None]
    exact = desk.query("SELECT event FROM audit_lines WHERE json IS NULL", "--output", "json")
    assert json.loads(exact.stdout) == [{"event": half}]
    recent = desk.query("SELECT count(*) AS n FROM audit_lines", "--since", "2026-01-01T00:00:00Z", "--output", "csv")
    assert (recent.stdout, recent.stderr) == ("n\n0\n", "")


def test_the_words_of_duckdb_about_its_files_are_not_removed(desk: Desk) -> None:
    failed = desk.query("SELECT error('-- Loading resources from here')")
    assert failed.returncode == 16
    assert failed.stderr.count("-- Loading resources from ") == 1


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
