"""The statements for the exact lines, and the ways to fields that have no column."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.lint.test_reading import table
from infra.readers import readers
from infra.readers.corpus import Event, write_corpus, write_file
from infra.readers.readers import READERS, block, python, shell
from infra.readers.test_readers import assert_reads_every_event, compress_with_zstd
from tests.e2e.guide import READING, statements
from tests.e2e.odd_events import STAMP

Lines = list[tuple[str, str]]
"""The day and the text of each line."""


def by_clickhouse(folder: Path, view: str) -> Lines:
    program = f"""
import json
from chdb.session import Session
session = Session()
session.query({view!r})
text = session.query('SELECT date, event FROM audit_lines', 'JSONEachRow').bytes().decode()
rows = [json.loads(line) for line in text.split('\\n') if line]
json.dump([(row['date'], row['event']) for row in rows], open('rows.json', 'w'))
"""
    python(program, folder)
    return [(day, line) for day, line in json.loads((folder / "rows.json").read_text())]


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_clickhouse_reads_the_exact_lines(compression: str, tmp_path: Path) -> None:
    events = write_corpus(tmp_path)
    if compression == "zst":
        compress_with_zstd(tmp_path)
    view = block("clickhouse-lines").replace(".gz", f".{compression}")
    assert sorted(by_clickhouse(tmp_path, view)) == sorted((event.day, event.line) for event in events)


def template_statement() -> str:
    """Returns the table of the template for Athena as a statement of Hive."""
    created = table("NDJSON_GZIP", "LineTable")
    storage = created["StorageDescriptor"]
    serde = storage["SerdeInfo"]
    [column] = storage["Columns"]
    properties = ", ".join(f"'{name}' = '{value}'" for name, value in serde["Parameters"].items())
    return f"""CREATE EXTERNAL TABLE {created["Name"]} ({column["Name"]} {column["Type"]})
PARTITIONED BY (`date` string)
ROW FORMAT SERDE '{serde["SerializationLibrary"]}'
WITH SERDEPROPERTIES ({properties})
STORED AS INPUTFORMAT '{storage["InputFormat"]}' OUTPUTFORMAT '{storage["OutputFormat"]}'
LOCATION '{storage["Location"]}'"""


def test_hives_serde_reads_the_exact_lines_of_athenas_tables(tmp_path: Path) -> None:
    """Athena can't run here. Spark has the SerDe that AWS documents for the statement, and takes the statement itself. It knows no
    partition projection, so the days are found in the folder.
    """
    events = write_corpus(tmp_path)
    # One that Athena must not read.
    (tmp_path / "audit-log" / "_digests").mkdir()
    (tmp_path / "audit-log" / "_digests" / "0.json").write_text("{}\n")
    location = f"LOCATION 'file://{tmp_path}/audit-log/'"
    program = f"""
import json
from pyspark.sql import SparkSession
home = {str(tmp_path)!r}
spark = (
    SparkSession.builder.enableHiveSupport()
    .config("spark.sql.warehouse.dir", f"{{home}}/warehouse")
    .config("spark.sql.variable.substitute", "false")
    .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={{home}}")
    .config("spark.hadoop.javax.jdo.option.ConnectionURL", f"jdbc:derby:;databaseName={{home}}/metastore;create=true")
    .getOrCreate()
)
found = []
for statement in {[block("athena-lines").rstrip().rstrip(";"), template_statement()]!r}:
    place = statement[statement.index("LOCATION '"):].splitlines()[0]
    spark.sql(statement.replace(place, {location!r}))
    spark.sql("MSCK REPAIR TABLE audit_lines")
    [serde] = [row.data_type for row in spark.sql("DESCRIBE FORMATTED audit_lines").collect() if row.col_name == "Serde Library"]
    found.append([serde, [(row.date, row.event) for row in spark.table("audit_lines").collect()]])
    spark.sql("DROP TABLE audit_lines")
json.dump(found, open("rows.json", "w"))
"""
    python(program, tmp_path)
    found = json.loads((tmp_path / "rows.json").read_text())
    assert len(found) == 2
    for serde, rows in found:
        assert serde == "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
        assert sorted((day, line) for day, line in rows) == sorted((event.day, event.line) for event in events)


# A field of a product, in each form.
DEPARTMENTS = ['"sales"', '"\\u0041\\"\\u00e9"', '{"a":1e400}', "123456789012345678901234567890", "null", "[]", None]
# What the page says to do, for each reader whose statement lists columns: the block, its text and what replaces it.
ADDED: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(
        ("Polars", "pandas", "PyArrow", "Spark", "DataFusion", "Daft"),
        ("audit_log.py", '"sessionId", *JSON', '"sessionId", "department", *JSON'),
    ),
    "ClickHouse": ("clickhouse", "sessionId Nullable(String)'", "sessionId Nullable(String), department Nullable(String)'"),
    **dict.fromkeys(
        ("jq", "jaq", "Miller", "lnav"), ("audit-log.jq", "requestId, sessionId}", "requestId, sessionId, department}")
    ),
}  # fmt: skip


def write_departments(folder: Path) -> list[Event]:
    events = []
    for number, value in enumerate(DEPARTMENTS):
        field = "" if value is None else f',"department":{value}'
        line = f'{{"id":"{number}","eventTimestamp":"2026-01-31T23:59:59Z"{field}{STAMP}'
        events.append(Event("2026-02-01", line))
    write_file(folder, "2026-02-01", 0, [event.line for event in events])
    return events


def patch(monkeypatch: pytest.MonkeyPatch, change: Callable[[str, str], str]) -> None:
    """Changes the blocks of the page, given by tag and text."""
    monkeypatch.setattr(readers, "statements", lambda tag: [change(tag, text) for text in statements(tag)])


@pytest.mark.parametrize("name", ADDED)
def test_a_field_of_the_product_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [reader] = [reader for reader in READERS if reader.name == name]
    tag, old, new = ADDED[name]
    assert statements(tag)[0].count(old) == 1
    patch(monkeypatch, lambda found, text: text.replace(old, new) if found == tag else text)
    if name == "lnav":
        description = json.loads(readers.LNAV_FORMAT.read_text())
        description["audit_export"]["value"]["department"] = {"kind": "string"}
        changed = tmp_path / "audit-export.lnav.json"
        changed.write_text(json.dumps(description))
        monkeypatch.setattr(readers, "LNAV_FORMAT", changed)
    events = write_departments(tmp_path)
    rows = assert_reads_every_event(reader, events, tmp_path)
    assert all("department" in row for row in rows)


def test_a_field_of_the_product_is_read_by_sqlite(tmp_path: Path) -> None:
    events = write_departments(tmp_path)
    shell(block("sqlite"), tmp_path)
    found = shell(
        "sqlite3 -nullvalue - audit-log.db \"SELECT event -> '$.department' FROM audit_events ORDER BY id\"", tmp_path
    )
    assert found.splitlines() == [value or "-" for value in DEPARTMENTS]
    every = shell("sqlite3 audit-log.db 'SELECT event FROM audit_events ORDER BY id'", tmp_path)
    assert every.splitlines() == [event.line for event in events]


# Reads a file of the statement part by part, with the page's blocks of these tags; leaves all rows.
PARTS = {
    "pandas-parts": "rows = [[*group, int(count)] for group, count in counts.items()]",
    "datafusion-parts": "rows = context.table('audit_events').to_pylist()",
    "daft-parts": "rows = audit_events.to_pylist()",
}


@pytest.mark.parametrize("tag", PARTS)
def test_an_export_is_read_part_by_part(tag: str, tmp_path: Path) -> None:
    events = write_corpus(tmp_path)
    # More parts than one.
    (tmp_path / "audit_log.py").write_text(block("audit_log.py").replace("size=1_000", "size=10"))
    write_file_first = "" if tag == "pandas-parts" else block("pyarrow-parts")
    python(
        f"{write_file_first}{block(tag)}\nimport json\n{PARTS[tag]}\njson.dump(rows, open('rows.json', 'w'))", tmp_path
    )
    rows = json.loads((tmp_path / "rows.json").read_text())
    if tag == "pandas-parts":
        assert sum(count for *_, count in rows) == len(events)
        logins = [event for event in events if event.value.get("action") == "LOGIN"]
        assert sum(count for _, action, count in rows if action == "LOGIN") == len(logins)
    else:
        assert sorted(row["event"] for row in rows) == sorted(event.line for event in events)
        assert all({"date", "id", "auditPayload"} <= row.keys() for row in rows)


def memory(program: str, folder: Path) -> int:
    """Returns the bytes that a program of Python takes at most."""
    printed = python(f"{program}\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)", folder)
    return int(printed.split()[-1]) * 1024


def test_parts_need_less_memory_than_all_events(tmp_path: Path) -> None:
    (tmp_path / "audit_log.py").write_text(block("audit_log.py"))
    event = f'{{"id":"1",{TIME},"action":"READ","auditPayload":{{"query":"{"x" * 1_000}"}}{STAMP}'
    for number in range(4):
        write_file(tmp_path, "2026-02-01", number, [event] * 10_000)
    imports = memory("import pyarrow, pyarrow.parquet", tmp_path)
    every, parts = (memory(block(tag), tmp_path) - imports for tag in ("pyarrow", "pyarrow-parts"))
    assert every > 3 * parts, (every, parts)


# Lines of earlier versions of the service: half of a surrogate pair, and a field twice.
TIME = '"eventTimestamp":"2026-01-31T23:59:59Z"'
GOOD = f'{{"id":"good",{TIME},"action":"LOGIN"{STAMP}'
HALF = f'{{"id":"half",{TIME},"action":"x\\ud800","actor":{{"name":"\\udc00"}}{STAMP}'
TWICE = f'{{"id":"twice",{TIME},"action":"first","action":"last"{STAMP}'
LAST = f'{{"id":"last",{TIME},"action":"LOGIN"{STAMP}'


def write_older(folder: Path) -> list[str]:
    lines = [GOOD, HALF, TWICE, LAST]
    write_file(folder, "2026-02-01", 0, lines[:2])
    write_file(folder, "2026-02-01", 1, lines[2:])
    return lines


@pytest.mark.parametrize("name", ["Polars", "pandas", "PyArrow", "Spark", "DataFusion", "Daft"])
def test_python_reads_lines_of_earlier_versions(name: str, tmp_path: Path) -> None:
    lines = write_older(tmp_path)
    [reader] = [reader for reader in READERS if reader.name == name]
    rows = {row["id"]: row for row in reader.run(tmp_path)}
    assert [rows[each]["event"] for each in ("good", "half", "twice", "last")] == lines
    assert (rows["half"]["action"], rows["half"]["actor"]) == ("x?", '{"name":"\\udc00"}')
    assert rows["twice"]["action"] == "last"


def test_clickhouse_reads_lines_of_earlier_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = write_older(tmp_path)
    assert sorted(line for _, line in by_clickhouse(tmp_path, block("clickhouse-lines"))) == sorted(lines)
    [reader] = [reader for reader in READERS if reader.name == "ClickHouse"]
    write_file(tmp_path, "2026-02-01", 1, [LAST])
    with pytest.raises(AssertionError, match="CANNOT_PARSE_ESCAPE_SEQUENCE"):
        reader.run(tmp_path)
    added = ", input_format_json_throw_on_bad_escape_sequence = 0"
    assert f"`{added}`" in READING.read_text()
    patch(monkeypatch, lambda _, text: text.replace("= 'match_case'", f"= 'match_case'{added}"))
    rows = {row["id"]: row for row in reader.run(tmp_path)}
    assert rows.keys() == {"good", "half", "last"}
    assert (rows["half"]["action"], rows["half"]["actor"]) == (r"x\ud800", r'{"name":"\udc00"}')
    write_file(tmp_path, "2026-02-01", 1, [TWICE])
    with pytest.raises(AssertionError, match="Duplicate field found"):
        reader.run(tmp_path)


def test_sqlite_reads_lines_of_earlier_versions(tmp_path: Path) -> None:
    lines = write_older(tmp_path)
    # Its last statement prints a text that is invalid UTF-8.
    shell(f"{{\n{block('sqlite')}\n}} > printed", tmp_path)
    assert shell("sqlite3 audit-log.db 'SELECT event FROM audit_events'", tmp_path).splitlines() == lines
    query = "SELECT id, hex(action) FROM audit_events WHERE id IN ('half', 'twice')"
    rows = dict(line.split("|") for line in shell(f'sqlite3 audit-log.db "{query}"', tmp_path).splitlines())
    assert bytes.fromhex(rows["twice"]) == b"first"
    with pytest.raises(UnicodeDecodeError):
        bytes.fromhex(rows["half"]).decode()


@pytest.mark.parametrize("program", ["jq", "jaq"])
def test_flat_events_leave_lines_of_earlier_versions_out(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_older(tmp_path)
    with pytest.raises(AssertionError):
        readers.flat(tmp_path, program)
    changed: dict[str, Callable[[str], str]] = {
        "audit-log.jq": lambda text: f"fromjson? | {text}",
        "flat": lambda text: text.replace("jq --compact-output", "jq --raw-input --compact-output"),
        # Only the flat events are of interest.
        "lines": lambda _: "",
    }
    patch(monkeypatch, lambda tag, text: changed.get(tag, str)(text))
    rows = [json.loads(line) for line in readers.flat(tmp_path, program).splitlines()]
    assert [row["id"] for row in rows] == ["good", "twice", "last"]
