"""DuckDB, jq and Athena read every event that the service accepts, with the statements of docs/READING.md. `make readers` tests the
other readers.

The events are those of odd_events.ndjson, in their stored form according to the unit tests of the rules. No stack is needed here;
test_ingest.py compares them with the service's.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.local.settings import TOOLS
from tests.e2e.guide import READING, READING_BLOCKS, athena_columns, json_documents, statements
from tests.e2e.odd_events import DAY, OddEvent, microseconds, odd_events, read, write_accepted, write_lines

# jaq, one of the tools, understands the same language; jq is not on every machine.
JQ_PROGRAMS = [path for path in (shutil.which("jq"), str(TOOLS / "jaq")) if path]
JSON_COLUMNS = {"actor", "targets", "relatedResources", "auditPayload"}
# A column in the list of the view.
DUCKDB_COLUMN = re.compile(r"^    (\w+): '(?:VARCHAR|JSON)',?$", re.MULTILINE)


@pytest.mark.parametrize("program", JQ_PROGRAMS, ids=lambda path: Path(path).name)
def test_every_accepted_event_is_read_by_the_shell(program: str, tmp_path: Path) -> None:
    accepted = write_accepted(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    assert Path(program).exists()
    (programs / "jq").symlink_to(program)
    [commands] = statements("shell")
    ran = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{commands}"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "LANG": "C.UTF-8"}, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    count, _, rest = ran.stdout.partition("\n")
    assert int(count) == len(accepted)
    *last, actions = json_documents(rest)
    assert [event["id"] for event in last] == [read(event.line)["id"] for event in accepted[-3:]]
    assert sum(actions.values()) == len(accepted)
    rows = (tmp_path / "events.tsv").read_text().split("\n")[:-1]
    assert [row.split("\t")[0] for row in rows] == [read(event.line)["eventTimestamp"] for event in accepted]
    assert all(row.count("\t") == 4 for row in rows)
    actors = {event.name: row.split("\t")[1] for event, row in zip(accepted, rows, strict=True)}
    assert actors["actor that is text"] == actors["actor without a name"] == "bob"
    assert actors["nothing but what is needed"] == ""


def test_every_accepted_event_is_read_by_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = {event.name: read(event.line) for event in write_accepted(tmp_path)}
    monkeypatch.chdir(tmp_path)
    view, per_day, slowest, targets = statements("duckdb")
    with duckdb.connect() as database:
        database.execute(view)
        names = [name for name, *_ in database.execute("DESCRIBE audit_events").fetchall()]
        # One row for each event, in order, with every value under its exact name.
        fields = set(names) - {"date", "eventTimestamp", "receivedTimestamp"}
        rows = database.execute("SELECT * FROM audit_events").fetchall()
        assert len(rows) == len(accepted)
        for (event_name, event), row in zip(accepted.items(), rows, strict=True):
            found = dict(zip(names, row, strict=True))
            for name in fields:
                value = event.get(name)
                if (isinstance(value, str) and name not in JSON_COLUMNS) or (value is None and found[name] is None):
                    assert found[name] == value, (event_name, name)
                else:
                    assert read(found[name]) == value, (event_name, name)
        # Every time is read with its exact value.
        times = database.execute("SELECT epoch_us(eventTimestamp), epoch_us(receivedTimestamp) FROM audit_events")
        for (event_name, event), (sent, received) in zip(accepted.items(), times.fetchall(), strict=True):
            assert sent == microseconds(event["eventTimestamp"]), event_name
            assert received == microseconds(event["receivedTimestamp"])
        counts = database.execute(per_day).fetchall()
        assert {str(date) for date, *_ in counts} == {DAY}
        assert sum(events for *_, events in counts) == len(accepted)
        queries = [event for event in accepted.values() if event.get("action") == "QUERY"]
        assert len(database.execute(slowest).fetchall()) == len(queries) == 3
        lists = [event["targets"] for event in accepted.values() if isinstance(event.get("targets"), list)]
        assert len(database.execute(targets).fetchall()) == sum(map(len, lists)) > 5


def test_files_of_two_formats_are_read_by_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_accepted(tmp_path)
    monkeypatch.chdir(tmp_path)
    view, *_ = statements("duckdb")
    [both] = statements("duckdb-both")
    all_rows = "SELECT COLUMNS(*)::VARCHAR FROM {} ORDER BY ALL"
    with duckdb.connect() as database:
        database.execute(view)
        expected = database.execute(all_rows.format("audit_events")).fetchall()
        path = min((tmp_path / "audit-log" / f"date={DAY}").glob("*.ndjson.gz"))
        write_parquet(path)
        count = gzip.decompress(path.read_bytes()).count(b"\n")
        path.unlink()
        database.execute(both)
        assert len(database.execute("SELECT * FROM audit_events").fetchall()) == len(expected) - count
        assert database.execute(all_rows.format("all_audit_events")).fetchall() == expected


def test_the_lines_are_read_by_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = write_accepted(tmp_path)
    monkeypatch.chdir(tmp_path)
    [view], [both] = statements("duckdb-lines"), statements("duckdb-both-lines")
    with duckdb.connect() as database:
        database.execute(view)
        rows = database.execute("SELECT event, json, date::VARCHAR FROM audit_lines").fetchall()
        assert [event for event, *_ in rows] == [event.line for event in accepted]
        assert all(json and date == DAY for _, json, date in rows)
        assert_fields_of_the_product(database, accepted)
        path = min((tmp_path / "audit-log" / f"date={DAY}").glob("*.ndjson.gz"))
        write_parquet(path)
        path.unlink()
        database.execute(both)
        assert len(database.execute("FROM audit_lines").fetchall()) < len(rows)
        lines = database.execute("SELECT event, json, date::VARCHAR FROM all_audit_lines").fetchall()
        assert sorted(lines) == sorted(rows)


def assert_fields_of_the_product(database: duckdb.DuckDBPyConnection, accepted: list[OddEvent]) -> None:
    """Fields without a column come back. The page says which numbers don't."""
    documented = set(DUCKDB_COLUMN.findall(statements("duckdb")[0]))
    checked, rounded = 0, set()
    for event in accepted:
        # No path leads to an empty name.
        for name, value in ((name, value) for name, value in read(event.line).items() if name not in documented | {""}):
            path = '$."' + name.replace('"', '\\"') + '"'
            [(found,)] = database.execute(
                "SELECT json -> $1 FROM audit_lines WHERE event = $2", [path, event.line]
            ).fetchall()
            checked += 1
            if read(found) != value:
                rounded.add(event.name)
    assert checked > 100
    with_fraction_or_exponent = {event.name for event in accepted if re.search(r"\d[.eE][\d+-]", event.event)}
    assert "number with more digits than a double" in rounded <= with_fraction_or_exponent


def test_a_field_of_the_product_is_counted_by_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"id": "1", "action": "LOGIN", "department": "sales", "cost centre": 7}
    events = [login, login, login | {"department": ["a"]}, {"id": "2", "action": "LOGIN"}, login | {"action": "READ"}]
    write_lines(tmp_path, [json.dumps(event, separators=(",", ":")) for event in events])
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as database:
        database.execute(statements("duckdb-lines")[0])
        found = database.execute(statements("duckdb-field")[0]).fetchall()
        assert found[0] == ("sales", 2)
        assert sorted(found[1:], key=str) == [('["a"]', 1), (None, 1)]
        [path] = set(re.findall(r"`json ->> ('\$.+?')`", READING.read_text()))
        assert database.execute(f"SELECT count(json ->> {path}) FROM audit_lines").fetchall() == [(4,)]


def test_duckdb_rounds_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [(digits, double)] = re.findall(r"nearest double \(`([\d.]+)` as `([\d.]+)`\)", READING.read_text())
    line = f'{{"id":"1","auditPayload":{{"a":{digits},"b":123456789012345678901234567890}}}}'
    write_lines(tmp_path, [line])
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as database:
        database.execute(statements("duckdb")[0])
        database.execute(statements("duckdb-lines")[0])
        [(payload,)] = database.execute("SELECT auditPayload FROM audit_events").fetchall()
        assert payload == f'{{"a":{double},"b":123456789012345678901234567890}}'
        assert database.execute("SELECT event FROM audit_lines").fetchall() == [(line,)]


def write_parquet(path: Path) -> None:
    """Writes the lines of a file into one of Parquet beside it."""
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
    with duckdb.connect() as database:
        database.execute("CREATE TABLE lines (event VARCHAR)")
        database.executemany("INSERT INTO lines VALUES (?)", [[line] for line in lines])
        database.execute(f"COPY lines TO '{path.with_name('0.parquet')}'")


def rows_below(folder: Path, program: str) -> list[tuple[Any, ...]]:
    """Runs a statement of DuckDB on the files of a folder, in another time zone; returns ID, day and time of each event."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'America/New_York'")
        database.execute(program.replace("audit-log/", f"{folder}/audit-log/"))
        columns, view = "id, CAST(date AS VARCHAR), CAST(eventTimestamp AS VARCHAR)", "audit_events"
        if "audit_lines" in program:
            database.execute("SET TimeZone = 'UTC'")
            view = "(SELECT date, json ->> 'id' AS id, (json ->> 'eventTimestamp')::TIMESTAMPTZ AS eventTimestamp FROM audit_lines)"
        return database.execute(f"SELECT {columns} FROM {view} ORDER BY ALL").fetchall()


@pytest.mark.parametrize("tag", ["duckdb", "parquet-duckdb", "duckdb-lines"])
def test_neither_the_folders_above_nor_the_time_zone_change_what_duckdb_reads(tag: str, tmp_path: Path) -> None:
    folder = tmp_path / "id=backup" / "tenantId=x" / "env=prod" / "date=2020-01-01"
    event = {"id": "1", "eventTimestamp": "2026-02-01T01:00:00+02:00", "tenantId": "acme"}
    write_lines(folder, [json.dumps(event)] * 2)
    if tag == "parquet-duckdb":
        for path in sorted((folder / "audit-log").glob("date=*/*.gz")):
            columns = "id, CAST(eventTimestamp AS TIMESTAMPTZ) AS eventTimestamp, tenantId"
            duckdb.execute(
                f"COPY (SELECT {columns} FROM read_json('{path}', hive_partitioning = false)) "
                f"TO '{path.with_name(path.name.replace('ndjson.gz', 'parquet'))}'"
            )
    assert rows_below(folder, statements(tag)[0]) == [("1", DAY, "2026-01-31 23:00:00+00")] * 2


def test_duckdb_reads_only_the_files_of_the_wanted_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path, ['{"id":"1"}', '{"id":"2"}'])
    monkeypatch.chdir(tmp_path)
    damaged = tmp_path / "audit-log" / "date=2026-02-02" / "0.ndjson.gz"
    damaged.parent.mkdir()
    damaged.write_bytes(b"damaged")
    with duckdb.connect() as database:
        database.execute(statements("duckdb")[0])
        database.execute(statements("duckdb-lines")[0])
        found = database.execute(f"SELECT id FROM audit_events WHERE date = DATE '{DAY}' ORDER BY id").fetchall()
        lines = database.execute(f"SELECT event FROM audit_lines WHERE date = DATE '{DAY}' ORDER BY event").fetchall()
    assert found == [("1",), ("2",)]
    assert lines == [('{"id":"1"}',), ('{"id":"2"}',)]


MANY_FILES = 20_000


def test_the_shell_reads_more_files_than_a_command_can_name(tmp_path: Path) -> None:
    directory = tmp_path / "audit-log" / f"date={DAY}"
    directory.mkdir(parents=True)
    content = gzip.compress(b"{}\n")
    # The longest command of this machine, and each name takes a byte for its end.
    length = min(os.sysconf("SC_ARG_MAX") // MANY_FILES + 1, 255)
    for number in range(MANY_FILES):
        (directory / f"{number:05}".ljust(length - len(".ndjson.gz"), "x")).with_suffix(".ndjson.gz").write_bytes(
            content
        )
    count, *_ = statements("shell")[0].splitlines()
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail\n{count}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, int(ran.stdout), ran.stderr) == (0, MANY_FILES, "")
    # No other command of the page names all files.
    assert "gunzip -c audit-log" not in READING.read_text()


def test_a_folder_with_files_of_two_formats_is_noticed(tmp_path: Path) -> None:
    write_accepted(tmp_path)
    directory = tmp_path / "audit-log" / f"date={DAY}"
    (directory / "2.parquet").write_bytes(b"")
    (tmp_path / "audit-log" / "_digests").mkdir()
    (tmp_path / "audit-log" / "_digests" / "0.json").write_bytes(b"")
    [command] = statements("formats")
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["2", ".ndjson.gz", "1", ".parquet"]
    # It comes before every statement that reads one format.
    assert "formats" in READING_BLOCKS[0].tags


def test_older_files_are_read_past_lines_that_no_tool_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's commands for files with events that are refused today."""
    monkeypatch.chdir(tmp_path)
    half = next(event for event in odd_events() if event.name == "high surrogate alone")
    good = next(event for event in odd_events() if event.code is None)
    write_lines(tmp_path, [good.line, half.line, good.line])
    view = statements("duckdb")[0]
    with duckdb.connect() as database:
        database.execute(view)
        with pytest.raises(duckdb.Error, match="Malformed JSON"):
            database.execute("SELECT * FROM audit_events").fetchall()
        tolerant = view.replace("format =", "ignore_errors = true,\n  format =").replace("CREATE", "CREATE OR REPLACE")
        assert "ignore_errors = true" in READING.read_text()
        database.execute(tolerant)
        rows = database.execute("SELECT id, tenantId FROM audit_events").fetchall()
        assert rows == [(good.name, "acme"), (None, None), (good.name, "acme")]
    assert "`jq --raw-input 'fromjson?'`" in READING.read_text()
    for program in JQ_PROGRAMS:
        read_past = (
            f"find audit-log -name '*.ndjson.gz' | sort | xargs gunzip -c | {program} --raw-input 'fromjson? | .id'"
        )
        ran = subprocess.run(["bash", "-c", read_past], capture_output=True, text=True, check=True)
        assert json_documents(ran.stdout) == [good.name] * 2


def test_every_accepted_event_is_read_by_athena(tmp_path: Path) -> None:
    """Athena can't run here. This tests the documented requirements of its SerDe: an object on each line, no duplicate names in an
    object, and a mapping for each column with capitals. A column of text takes any value.
    https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
    """
    accepted = write_accepted(tmp_path)
    [ddl] = statements("athena")
    [(serde, properties)] = re.findall(r"ROW FORMAT SERDE '(.+)'\nWITH SERDEPROPERTIES \((.*?)\n\)\n", ddl, re.DOTALL)
    assert serde == "org.openx.data.jsonserde.JsonSerDe"
    mappings = dict(re.findall(r"^  '(.+?)' = '(.+?)',?$", properties, re.MULTILINE))
    assert len(mappings) == properties.count("\n")
    assert mappings.pop("case.insensitive") == "FALSE"
    columns = athena_columns()
    assert set(columns.values()) == {"string"}
    names = [mappings.pop(f"mapping.{column}", column) for column in columns]
    assert mappings == {}
    assert [name for name in names if name != "date"] == DUCKDB_COLUMN.findall(statements("duckdb")[0])

    def no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    for event in accepted:
        fields = read(event.line, object_pairs_hook=no_name_twice)
        assert "\n" not in event.line and "\r" not in event.line, event.name
        # Trino, on which Athena is based, reads offsets up to 14:00 and 9 decimals, but no second 60 and no lower case.
        time = re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{1,9})?(Z|[+-](\d\d):(\d\d))", fields["eventTimestamp"]
        )
        assert time, event.name
        assert int(time[3] or 0) * 60 + int(time[4] or 0) <= 14 * 60, event.name
