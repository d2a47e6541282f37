"""The example that sends notices by mail fits the notices that the service publishes."""

from __future__ import annotations

import re

from samtranslator.yaml_helper import yaml_parse

from infra.lint.test_template import ROOT, TEMPLATE

EXAMPLE = yaml_parse((ROOT / "infra" / "notices" / "sns-mail.yaml").read_text())
RULE = EXAMPLE["Resources"]["Rule"]["Properties"]


def kinds() -> set[str]:
    """Returns the kinds of notices that docs/NOTICES.md has examples of. A test of `domain` compares them with the code."""
    return set(re.findall(r'"kind": "([A-Z_]+)"', (ROOT / "docs" / "NOTICES.md").read_text()))


def test_the_rule_matches_kinds_that_exist_from_the_service_s_source() -> None:
    adapter = (ROOT / "shared" / "aws-adapters" / "src" / "notice_bus.rs").read_text()
    [source] = re.findall(r'const NOTICE_SOURCE: &str = "([a-z-]+)";', adapter)
    assert RULE["EventPattern"]["source"] == [source]
    matched = set(RULE["EventPattern"]["detail-type"])
    assert len(matched) >= 9
    assert matched <= kinds()


def test_the_mail_shows_fields_of_a_notice() -> None:
    transformer = RULE["Targets"][0]["InputTransformer"]
    fields = set(re.findall(r'^ +"(\w+)":', (ROOT / "docs" / "NOTICES.md").read_text(), re.MULTILINE))
    for path in transformer["InputPathsMap"].values():
        assert path == "$.detail-type" or set(path.removeprefix("$.").split(".")) <= fields | {"detail"}, path
    assert set(re.findall(r"<(\w+)>", transformer["InputTemplate"])) == set(transformer["InputPathsMap"])


def test_the_example_takes_the_bus_that_the_stack_names() -> None:
    assert TEMPLATE["Outputs"]["NoticeBusName"]["Value"] == {"Ref": "NoticeBus"}
    assert RULE["EventBusName"] == {"Ref": "BusName"}
