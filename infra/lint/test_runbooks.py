"""Every alarm leads to a runbook, every runbook has the same parts, and everything that a runbook names exists."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from infra.dashboard.source import substitution
from infra.lint.template import RESOURCES, ROOT, TEMPLATE
from infra.lint.test_alarms import ALARMS, FILTERS, INTERVALS, raised_by_the_sources, rust_sources, transformation
from infra.lint.test_documents import anchors

RUNBOOKS = ROOT / "docs" / "RUNBOOKS.md"
# Sections of docs/RUNBOOKS.md that are no runbooks.
INTRODUCTIONS = {"Before you start"}
PARTS = ("Meaning.", "What customers see.", "Check", "Repair", "Confirm.", "Prevent.")
PUT_BACK = "Put back what was changed by hand"
# Commands of the AWS CLI that are no operations of an API.
CLI_COMMANDS = {("s3", "sync")}
# The models of the services that the AWS CLI has under another name.
MODELS = {"s3api": "s3"}
# Options of the AWS CLI that are no fields of a request.
CLI_OPTIONS = {"output", "query", "cli-binary-format", "cli-input-json", "max-items"}


DATA = Path(botocore.__file__).parent / "data"


def model_version(service: str) -> str:
    """Returns the newest version of the model of a service."""
    return max(path.name for path in (DATA / service).iterdir())


@cache
def sections() -> dict[str, str]:
    """Returns the text of each runbook, by its heading."""
    _, *parts = re.split(r"^## ", RUNBOOKS.read_text(), flags=re.MULTILINE)
    split = (part.partition("\n") for part in parts)
    return {heading: text for heading, _, text in split if heading not in INTRODUCTIONS}


@cache
def entries() -> dict[str, tuple[str, list[str]]]:
    """Returns for each alarm the anchor of its runbook, and the other cells of its row."""
    found: dict[str, tuple[str, list[str]]] = {}
    for heading, text in sections().items():
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for row in re.findall(r"^\| (`\w+Alarm`.*) \|$", text, re.MULTILINE):
            names, *cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
            for name in re.findall(r"`(\w+Alarm)`", names):
                assert name not in found, f"{name} has two entries"
                found[name] = (anchor, cells)
    return found


def commands() -> str:
    """Returns the fenced blocks, with each command on one line."""
    blocks = re.findall(r"^ *```\n(.*?)^ *```$", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL)
    return re.sub(r"\\\n\s*", "", "\n".join(blocks))


def test_every_alarm_has_an_entry_and_every_entry_an_alarm() -> None:
    assert set(entries()) == set(ALARMS)
    for name, (_, cells) in entries().items():
        assert len(cells) == 2, name
        assert all(len(cell) > 20 for cell in cells), name


@pytest.mark.parametrize("name", ALARMS)
def test_the_message_of_an_alarm_names_its_runbook(name: str) -> None:
    anchor, _ = entries()[name]
    assert anchor in anchors(RUNBOOKS)
    description = ALARMS[name]["AlarmDescription"]
    assert description.endswith(f". See docs/RUNBOOKS.md#{anchor}.")
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    assert len(description) <= 1_024


@pytest.mark.parametrize("heading", sections())
def test_a_runbook_begins_with_its_alarms_and_has_all_parts_in_order(heading: str) -> None:
    text = sections()[heading]
    assert text.strip().startswith(("| Alarm |", "**Alarms.** None"))
    places = [text.find(f"\n**{part}") for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


def test_the_list_of_runbooks_is_complete() -> None:
    introduction = RUNBOOKS.read_text().partition("\n## ")[0]
    assert re.findall(r"^\| \[([^\]]+)\]\(#", introduction, re.MULTILINE) == list(sections())


def test_the_operations_page_states_how_many_alarms_there_are_and_what_they_cost() -> None:
    text = (ROOT / "docs" / "OPERATIONS.md").read_text()
    # A line of exporter and converter makes one metric.
    names = {transformation(metric)["MetricName"] for metric in FILTERS.values()}
    metrics = len(names) + len(INTERVALS) - 1
    cost = f"USD {len(ALARMS) * 0.1 + metrics * 0.3:.2f}"
    assert f"{len(ALARMS)} alarms and {metrics} metrics" in text
    assert cost in text


def test_every_command_of_the_aws_cli_exists() -> None:
    session = botocore.session.get_session()
    found = set(re.findall(r"\baws ([a-z0-9-]+) ([a-z-]+)(?: ([a-z-]+))?", RUNBOOKS.read_text()))
    assert len(found) > 15
    for service, command, waiter in found:
        if (service, command) in CLI_COMMANDS:
            continue
        model = MODELS.get(service, service)
        if command == "wait":
            waiters = json.loads((DATA / model / model_version(model) / "waiters-2.json").read_text())["waiters"]
            assert waiter in {xform_name(name, "-") for name in waiters}, (service, waiter)
            continue
        operations = session.get_service_model(model).operation_names
        assert command in {xform_name(operation, "-") for operation in operations}, (service, command)


def test_every_option_of_the_aws_cli_exists() -> None:
    session = botocore.session.get_session()
    calls = re.findall(r"\baws ([a-z0-9-]+) ([a-z-]+) ([^\n|]*?)(?=\baws |\||$)", commands(), re.MULTILINE)
    assert len(calls) > 40
    checked = set()
    for service, command, arguments in calls:
        if (service, command) in CLI_COMMANDS or command == "wait":
            continue
        model = session.get_service_model(MODELS.get(service, service))
        (operation,) = [name for name in model.operation_names if xform_name(name, "-") == command]
        members = {xform_name(name, "-") for name in model.operation_model(operation).input_shape.members}
        for option in re.findall(r"(?<= )--([a-z-]+)", f" {arguments}"):
            assert option.removeprefix("no-") in members | CLI_OPTIONS, (service, command, option)
            checked.add((service, command, option))
    assert ("cloudformation", "create-change-set", "deployment-mode") in checked


def test_no_deployment_is_a_repair_of_what_was_changed_by_hand() -> None:
    """CloudFormation compares templates, and leaves alone a resource whose definition did not change."""
    doctor = (ROOT / "cli" / "operator" / "src" / "commands" / "doctor" / "checks.rs").read_text()
    texts = {**sections(), "doctor": re.sub(r"\\\n\s*", "", doctor)}
    texts["Before you start"] = RUNBOOKS.read_text().partition("\n## Before you start\n")[2].partition("\n## ")[0]
    link = f"(#{PUT_BACK.lower().replace(' ', '-')})"
    for heading, text in texts.items():
        if heading != PUT_BACK:
            assert not re.search(r"[Dd]eploy(?:\s+\w+){0,3}\s+again|by\s+a\s+deployment", text), heading
    for heading in (
        "Before you start",
        "A stuck tenant",
        "A missing dispatch",
        "A failing function",
        "A compromised key",
        "The archive",
    ):
        assert link in re.sub(r"\s+", "", texts[heading]), heading
    assert PUT_BACK in texts["doctor"]


def test_every_key_of_the_template_has_its_place_in_the_runbooks() -> None:
    keys = {name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::KMS::Key"}
    assert len(keys) == 4
    for heading in ("Restore", "A compromised key"):
        assert {name for name in keys if f"`{name}`" in sections()[heading]} == keys, heading
    archive = sections()["The archive"]
    assert "`a segment can't be read`" in archive
    for needed in ("enable-key", "cancel-key-deletion", "PendingDeletion", "describe-key", "### Use the archive's key"):
        assert needed in archive, needed
    statements = RESOURCES["ArchiveKey"]["Properties"]["KeyPolicy"]["Statement"]
    assert re.findall(r'^"(\w+)"$', archive, re.MULTILINE) == [statement["Sid"] for statement in statements]


def test_the_statement_for_a_restore_is_like_that_of_the_archiver() -> None:
    (program,) = re.findall(r"jq --arg role \S+ '([^']+)' before\.json", sections()["The archive"])
    writes = {"Sid": "ArchiverWrites", "Action": ["kms:Decrypt"], "Condition": {"StringEquals": {}}, "Principal": {}}
    policy = json.dumps({"Statement": [{"Sid": "Administration"}, writes]})
    command = ["jq", "--arg", "role", "the-role", program]
    made = json.loads(subprocess.run(command, input=policy, check=True, capture_output=True, text=True).stdout)
    assert made["Statement"][1:] == [writes, writes | {"Sid": "Restore", "Principal": {"AWS": "the-role"}}]


def test_a_section_of_the_documentation_that_the_template_names_exists() -> None:
    text = (ROOT / "template.yaml").read_text()
    named = set(re.findall(r"docs/((?:adr/)?[\w-]+\.md)(?:#([\w-]+))?", text))
    assert ("RUNBOOKS.md", "use-the-archives-key") in named
    for document, anchor in named:
        assert (ROOT / "docs" / document).is_file(), document
        assert not anchor or anchor in anchors(ROOT / "docs" / document), (document, anchor)


def test_a_restored_block_has_at_least_the_full_expiry() -> None:
    """The stamp of a block is the time in its ULID; docs/DATA_MODEL.md has the expiry, and EXPIRY_GRACE is 14 days."""
    program = re.findall(r"""--argjson days "\$\(parameter RetentionDays\)" '([^']+)'""", RUNBOOKS.read_text())
    # The ULID of 2026-11-28T20:54:20.227Z.
    stamp, block = 1_795_899_260, "01M8HYZZA3BMJNVFEF5N6RRW8T"
    full = stamp + (90 + 14) * 86_400
    items = [{"blockId": {"S": block}, "expiresAt": {"N": str(expiry)}} for expiry in (stamp + 7 * 86_400, full + 1)]
    command = ["jq", "-c", "--argjson", "days", "90", *program]
    done = subprocess.run(command, input=json.dumps({"Items": items}), check=True, capture_output=True, text=True)
    assert [json.loads(line)["expiresAt"]["N"] for line in done.stdout.splitlines()] == [str(full), str(full + 1)]


def test_a_restore_waits_as_long_as_it_takes_and_sets_what_a_restored_table_lacks() -> None:
    assert not re.search(r"^ *aws dynamodb wait", RUNBOOKS.read_text(), re.MULTILINE)
    restore = sections()["Restore"]
    assert restore.index("table_status()") < restore.index("restore-table-from-backup")
    assert f"(#{PUT_BACK.lower().replace(' ', '-')})" in restore
    for setting in ("update-continuous-backups", "update-time-to-live", "--deletion-protection-enabled"):
        assert setting in sections()[PUT_BACK]


def test_nothing_empties_a_queue_of_events_as_a_whole() -> None:
    for document in ("RUNBOOKS.md", "OPERATIONS.md"):
        assert not re.search(r"\bpurge", (ROOT / "docs" / document).read_text(), re.IGNORECASE), document
    repair = sections()["Events that were not stored"].partition("**Repair.**")[2]
    assert repair.index("[redrive]") < repair.index("aws sqs delete-message")
    # Deletes what the log has with a code, and nothing else.
    assert "select(.code) | .messageId" in repair
    assert 'grep -qxF "$id" refused.txt' in repair


def change(action: str, kind: str, replacement: str | None = None) -> dict[str, object]:
    """Returns a change as CloudFormation describes it."""
    found = {"Action": action, "ResourceType": f"AWS::{kind}", "LogicalResourceId": kind.replace("::", "")}
    if replacement:
        found["Replacement"] = replacement
    return {"Type": "Resource", "ResourceChange": found}


def test_the_check_of_an_upgrade_shows_every_removal_and_every_possible_replacement(tmp_path: Path) -> None:
    """`Replacement` is True, False, Conditional, or missing: only a modification has it."""
    (program,) = re.findall(r"jq -r '([^']+)' changes\.json", sections()["Upgrade"])
    model = botocore.session.get_session().get_service_model("cloudformation").shape_for("ResourceChange")
    assert set(model.members["Replacement"].enum) == {"True", "False", "Conditional"}
    assert "Remove" in model.members["Action"].enum
    changes = [
        change("Modify", "KMS::Key", "Conditional"),
        change("Modify", "DynamoDB::Table", "True"),
        change("Modify", "IAM::Role", "False"),
        change("Remove", "SQS::Queue"),
        change("Add", "Logs::LogGroup"),
    ]
    path = tmp_path / "changes.json"
    path.write_text(json.dumps({"Changes": changes}))
    shown = subprocess.run(["jq", "-r", program, path], check=True, capture_output=True, text=True).stdout
    assert [line.split("\t")[:4] for line in shown.splitlines()] == [
        ["Modify", "Conditional", "AWS::KMS::Key", "KMSKey"],
        ["Modify", "True", "AWS::DynamoDB::Table", "DynamoDBTable"],
        ["Remove", "-", "AWS::SQS::Queue", "SQSQueue"],
    ]


def test_an_upgrade_compares_the_signing_key_and_a_rotation_needs_no_edit_of_the_template() -> None:
    assert "SigningKeyArn" in sections()["Upgrade"]
    assert "`SigningKeySlot`" in sections()["Upgrade"]
    assert "`SigningKeySlot`" in sections()["A compromised key"]
    rotation = (ROOT / "docs" / "OPERATIONS.md").read_text().partition("**Rotation.**")[2].partition("\n## ")[0]
    assert "`SigningKeySlot`" in rotation
    assert "logical ID" not in rotation


def test_what_was_changed_by_hand_can_be_put_back_by_a_command_for_each_kind() -> None:
    text = sections()[PUT_BACK]
    for command in (
        "kms put-key-policy",
        "kms enable-key ",
        "kms enable-key-rotation",
        "dynamodb update-continuous-backups",
        "dynamodb update-time-to-live",
        "iam put-role-policy",
        "scheduler update-schedule",
    ):
        assert f"aws {command}" in text, command
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::KMS::Key":
            assert f"`{name}`" in text, name


def test_every_command_of_the_own_programs_exists() -> None:
    reference = "\n".join((ROOT / "docs" / "reference" / name).read_text() for name in ("CLI.md", "OPERATOR_CLI.md"))
    named = set(re.findall(r"`(audit-export(?:-operator)?(?: [a-z][a-z-]*)+)", RUNBOOKS.read_text()))
    assert len(named) >= 5
    for command in named:
        assert re.search(rf"^#+ `{command}`$", reference, re.MULTILINE), command


def test_every_output_and_parameter_that_a_runbook_names_exists() -> None:
    text = RUNBOOKS.read_text()
    outputs = set(re.findall(r"\$\(output (\w+)\)|^output (\w+)$", text, re.MULTILINE))
    assert {first or second for first, second in outputs} <= set(TEMPLATE["Outputs"])
    names = set(
        re.findall(
            r"`((?:Maximum|Ingest|Api|Converter|Exporter|Retention|Write|Events|Minimum|Retired|Lag)[A-Z]?\w+)`", text
        )
    )
    known = set(TEMPLATE["Parameters"]) | set(RESOURCES)
    assert len(names & known) > 10
    assert names <= known


def test_a_failed_request_is_looked_up_by_the_id_that_the_functions_log() -> None:
    printed = re.findall(r"logged api-access [^\n]*requestId[^\n]*", commands())
    assert printed
    assert all("integrationRequestId" in command for command in printed)
    for name, (_, cells) in entries().items():
        assert ("`requestId`" in cells[1]) <= ("`integrationRequestId`" in cells[1]), name


def test_a_loop_that_writes_items_passes_them_as_files_and_stops_at_a_failure() -> None:
    """An argument of a command has at most 128 KiB, and an item of DynamoDB 400 KB."""
    loops = re.findall(r"\bwhile read\b.*?\bdone\b", commands(), re.DOTALL)
    writing = [loop for loop in loops if re.search(r"\baws \w+ (put|update|delete)-", loop)]
    assert writing
    for loop in writing:
        assert ("put-item" in loop) == bool(re.search(r"--item file://", loop))
        assert "break" in loop
    assert not re.search(r'--(item|attributes|message-body) "\$\w+"', commands())


def test_log_lines_that_a_command_looks_for_are_written() -> None:
    sources = re.sub(r"\\\n\s*", "", "\n".join(rust_sources()))
    groups = {
        substitution(RESOURCES[name]["Properties"]["LogGroupName"]).rpartition("/")[2]
        for name in RESOURCES
        if name.endswith("LogGroup")
    }
    calls = re.findall(r"logged ([\w-]+) \d+ '([^']*)'", commands())
    assert len(calls) > 20
    for group, pattern in calls:
        assert group in groups
        for field, text in re.findall(r'\$\.(\w+) = "([^"]*)"', pattern):
            if field == "message":
                assert f'"{text}"' in sources, text
            elif field == "alarm":
                assert text in raised_by_the_sources()
