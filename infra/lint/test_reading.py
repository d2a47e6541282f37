"""The tables of docs/READING.md for Athena, the template that creates them, and the documented columns are the same.

Neither Athena nor Glue can run here. AWS's documentation is the source of what the tests demand:
https://docs.aws.amazon.com/athena/latest/ug/partition-projection-setting-up.html
https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-athena-workgroup-workgroupconfiguration.html
"""

from __future__ import annotations

import re
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra.local.settings import TOOLS
from tests.e2e.guide import READING_BLOCKS, statements

ROOT = Path(__file__).parents[2]
TEMPLATE_FILE = ROOT / "infra" / "customer" / "athena.yaml"
TEMPLATE: dict[str, Any] = yaml_parse(TEMPLATE_FILE.read_text())
# The statements, and the formats of the template that stand for them.
FORMATS = {
    "athena": ("NDJSON_GZIP", "NDJSON_ZSTD"),
    "athena-lines": ("NDJSON_GZIP", "NDJSON_ZSTD"),
    "parquet-athena": ("PARQUET",),
}
TABLES = [(tag, each) for tag, formats in FORMATS.items() for each in formats]
PARAMETERS = TEMPLATE["Parameters"]
# The parameters of the template that give the place and the day of the page's examples.
EXAMPLE = {
    "BucketName": "acme-audit",
    "BucketPath": "audit",
    "ConfigurationId": "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b",
    "FirstDay": "2026-01-01",
}


def table(file_format: str, resource: str = "Table") -> dict[str, Any]:
    """Returns a table of the template, with the parameters of the example."""
    return filled(TEMPLATE["Resources"][resource]["Properties"]["TableInput"], file_format)


def filled(value: Any, file_format: str) -> Any:
    """Resolves conditions and substitutions: `HasPath` is true."""
    if isinstance(value, list):
        return [filled(inner, file_format) for inner in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        condition, chosen, other = value["Fn::If"]
        assert TEMPLATE["Conditions"]["IsParquet"] == {"Fn::Equals": [{"Ref": "Format"}, "PARQUET"]}
        holds = {"HasPath": True, "IsParquet": file_format == "PARQUET"}[condition]
        return filled(chosen if holds else other, file_format)
    if "Fn::Sub" in value:
        text = re.sub(r"\$\{(\w+)\}", lambda found: EXAMPLE[found[1]], value["Fn::Sub"])
        return text.replace("${!", "${")
    return {name: filled(inner, file_format) for name, inner in value.items()}


def properties(ddl: str, clause: str) -> dict[str, str]:
    """Returns the pairs of a clause like TBLPROPERTIES."""
    found = re.search(rf"{clause} \(\n(.*?)\n\)", ddl, re.DOTALL)
    return dict(re.findall(r"^  '(.+?)' = '(.+?)',?$", found[1], re.MULTILINE)) if found else {}


def columns(ddl: str) -> list[tuple[str, str]]:
    found = re.search(r"audit_(?:events|lines) \(\n(.*?)\n\)\nPARTITIONED", ddl, re.DOTALL)
    assert found
    return [tuple(line.strip().rstrip(",").split(" ", 1)) for line in found[1].splitlines()]


@pytest.mark.parametrize(("tag", "file_format"), TABLES)
def test_the_template_creates_the_table_of_the_statement(tag: str, file_format: str) -> None:
    [ddl] = statements(tag)
    created = table(file_format, "LineTable" if tag == "athena-lines" else "Table")
    assert f"CREATE EXTERNAL TABLE {created['Name']} (" in ddl
    storage = created["StorageDescriptor"]
    assert [(column["Name"], column["Type"]) for column in storage["Columns"]] == columns(ddl)
    assert [(column["Name"], column["Type"]) for column in created["PartitionKeys"]] == [("date", "string")]
    assert "PARTITIONED BY (`date` string)" in ddl
    assert created["TableType"] == "EXTERNAL_TABLE"
    assert f"LOCATION '{storage['Location']}'" in ddl
    kept = {name: value for name, value in created["Parameters"].items() if name not in ("EXTERNAL", "classification")}
    assert kept == properties(ddl, "TBLPROPERTIES")
    if tag != "athena-lines":
        assert storage["SerdeInfo"]["Parameters"] == properties(ddl, "WITH SERDEPROPERTIES")


def test_both_tables_of_lines_divide_at_the_same_character() -> None:
    """`make readers` reads the lines with both. Hive takes a number as that of the character."""
    [ddl] = statements("athena-lines")
    assert "ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\001'\n" in ddl
    storage = table("NDJSON_GZIP", "LineTable")["StorageDescriptor"]
    assert storage["SerdeInfo"]["Parameters"] == {"serialization.format": "1", "field.delim": "1"}
    # https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html: what ROW FORMAT DELIMITED stands for.
    assert storage["SerdeInfo"]["SerializationLibrary"] == "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
    assert storage["InputFormat"] == table("NDJSON_GZIP")["StorageDescriptor"]["InputFormat"]


def test_the_table_of_ndjson_is_read_by_the_serde_of_the_statement() -> None:
    [ddl] = statements("athena")
    assert f"ROW FORMAT SERDE '{table('NDJSON_GZIP')['StorageDescriptor']['SerdeInfo']['SerializationLibrary']}'" in ddl


def athena_type(fields: list[str]) -> str:
    """Returns a struct with the fields of a group, which are all strings."""
    assert all(re.fullmatch(r"optional binary \w+ \(STRING\);", field) for field in fields)
    return f"struct<{','.join(f'{field.split()[2].lower()}:string' for field in fields)}>"


def documented_columns() -> list[tuple[str, str]]:
    """Returns the columns of the schema in docs/FORMATS.md, as Athena names and types them."""
    section = (ROOT / "docs" / "FORMATS.md").read_text().partition("\n## Parquet\n")[2]
    lines = re.search(r"message audit_event \{\n(.*?)\n\}\n", section, re.DOTALL)
    assert lines
    found = []
    for column in re.split(r"\n(?=  \w)", lines[1].replace("\n  }", "")):
        head, *inner = (line.strip() for line in column.splitlines())
        name = head.split()[2].rstrip(";").lower()
        fields = [line for line in inner if line.startswith("optional binary")]
        if "(LIST)" in head:
            found.append((name, f"array<{athena_type(fields)}>"))
        elif fields:
            found.append((name, athena_type(fields)))
        else:
            found.append((name, "timestamp" if "(TIMESTAMP(MICROS,true))" in head else "string"))
    return found


def test_the_table_of_parquet_has_the_documented_columns() -> None:
    [ddl] = statements("parquet-athena")
    assert columns(ddl) == documented_columns()
    serde = table("PARQUET")["StorageDescriptor"]
    # https://docs.aws.amazon.com/athena/latest/ug/parquet-serde.html: what STORED AS PARQUET stands for.
    assert "STORED AS PARQUET" in ddl
    assert serde["SerdeInfo"]["SerializationLibrary"] == "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    assert serde["InputFormat"] == "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"


def test_a_change_of_the_format_changes_the_table() -> None:
    """CloudFormation creates new resources before it deletes old ones, so a second table of the same name would fail."""
    resources = TEMPLATE["Resources"]
    tables = {name for name, each in resources.items() if each["Type"] == "AWS::Glue::Table"}
    assert tables == {"Table", "LineTable"}
    assert "Condition" not in resources["Table"]
    assert table("PARQUET")["Name"] == table("NDJSON_GZIP")["Name"] == "audit_events"
    # Files of Parquet have no lines.
    assert resources["LineTable"]["Condition"] == "IsText"
    assert TEMPLATE["Conditions"]["IsText"] == {"Fn::Not": [{"Condition": "IsParquet"}]}
    assert table("NDJSON_GZIP", "LineTable")["Name"] == "audit_lines"


def test_the_template_takes_the_formats_of_the_service() -> None:
    schema = (ROOT / "functions" / "api" / "schema.graphql").read_text()
    names = re.search(r"^enum ExportFormat \{\n(.*?)^\}", schema, re.DOTALL | re.MULTILINE)
    assert names
    # Security Lake makes the tables of the other one.
    formats = [name for name in re.findall(r"^  ([A-Z_]+)$", names[1], re.MULTILINE) if name != "OCSF_PARQUET"]
    assert formats == PARAMETERS["Format"]["AllowedValues"]
    assert [each for tag, each in TABLES if tag != "athena-lines"] == PARAMETERS["Format"]["AllowedValues"]


def test_the_first_day_is_a_day() -> None:
    pattern = PARAMETERS["FirstDay"]["AllowedPattern"]
    days = [f"2028-{month:02}-{day:02}" for month in range(14) for day in range(33)]
    real = [str(date(2028, 1, 1) + timedelta(days=number)) for number in range(366)]
    assert [day for day in days if re.fullmatch(pattern, day)] == real


def test_the_page_shows_two_stacks_that_can_exist_together() -> None:
    deployments = [block.text for block in READING_BLOCKS if "cloudformation deploy" in block.text]
    first, second = [dict(re.findall(r"([A-Z]\w+)=(\S+)", text)) for text in deployments]
    unique = {name: PARAMETERS[name]["Default"] for name in ("DatabaseName", "WorkGroupName")}
    assert all(second[name] != first.get(name, default) for name, default in unique.items())
    for name, value in (first | second).items():
        assert re.fullmatch(PARAMETERS[name].get("AllowedPattern", ".*"), value), name
    required = {name for name, parameter in PARAMETERS.items() if "Default" not in parameter}
    assert required <= first.keys() & second.keys()


@pytest.mark.parametrize("resource", ["Table", "LineTable"])
@pytest.mark.parametrize("file_format", PARAMETERS["Format"]["AllowedValues"])
def test_days_are_projected_within_the_location(file_format: str, resource: str) -> None:
    created = table(file_format, resource)
    assert (
        created["Parameters"]["storage.location.template"]
        == f"{created['StorageDescriptor']['Location']}date=${{date}}/"
    )
    assert created["Parameters"]["projection.date.format"] == "yyyy-MM-dd"
    # Without a path, the folder of the configuration is at the bucket's root.
    text = TEMPLATE_FILE.read_text()
    assert text.count('!Sub "s3://${BucketName}/${ConfigurationId}/"') == text.count("storage.location.template")


def test_every_statement_of_the_page_is_run_by_a_test() -> None:
    tests = [*(ROOT / "infra" / "readers").glob("*.py"), Path(__file__), *(ROOT / "tests" / "e2e").glob("test_*.py")]
    source = "".join(path.read_text() for path in tests)
    named = set(re.findall(r"""["']([\w.-]+)["']""", source))
    assert {tag for block in READING_BLOCKS for tag in block.tags} - named == set()
    # The others are commands with places to fill in, or that open a window, and queries of Athena.
    untested = [block.language for block in READING_BLOCKS if not block.tags]
    assert sorted(untested) == ["sh", "sql", "sql", "text", "text"]


def test_the_workgroup_limits_every_query() -> None:
    settings = TEMPLATE["Resources"]["WorkGroup"]["Properties"]["WorkGroupConfiguration"]
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["BytesScannedCutoffPerQuery"] == {"Ref": "MaxBytesPerQuery"}
    # Results are stored either by Athena or at the location: AWS refuses both.
    managed, stored = settings["ManagedQueryResultsConfiguration"]["Fn::If"], settings["ResultConfiguration"]["Fn::If"]
    assert managed == ["AthenaKeepsResults", {"Enabled": True}, {"Ref": "AWS::NoValue"}]
    assert stored[:2] == ["AthenaKeepsResults", {"Ref": "AWS::NoValue"}]


def test_the_template_creates_nothing_that_can_write_to_the_bucket() -> None:
    kinds = {resource["Type"] for resource in TEMPLATE["Resources"].values()}
    assert kinds == {"AWS::Glue::Database", "AWS::Glue::Table", "AWS::Athena::WorkGroup"}


def test_the_linter_has_nothing_to_say() -> None:
    linted = subprocess.run([TOOLS / "cfn-lint", TEMPLATE_FILE], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")
