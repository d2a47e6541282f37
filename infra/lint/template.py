"""What the rules for template.yaml share: the template, and how to read it."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = {
    "ApiFunction",
    "ArchiverFunction",
    "ConverterFunction",
    "ExporterFunction",
    "HousekeeperFunction",
    "IngestFunction",
    "NotifierFunction",
    "PageFunction",
    "VerifierFunction",
}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Returns the properties of all resources of a type, by logical ID."""
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


@cache
def translated() -> dict[str, Any]:
    """Returns the template that CloudFormation gets, as translated by the installed SAM translator."""
    template = copy.deepcopy(TEMPLATE)
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return translator.translate(template, {})


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def target(reference: Any) -> str:
    """Returns the logical ID or the pattern in a resource element."""
    if isinstance(reference, str):
        return reference
    ((function, argument),) = reference.items()
    if function == "Fn::GetAtt":
        return (argument if isinstance(argument, str) else ".".join(argument)).removesuffix(".Arn")
    return argument


def statements(role: str) -> list[dict[str, Any]]:
    inline = RESOURCES[role]["Properties"]["Policies"]
    attached = [p for p in of_type("AWS::IAM::Policy").values() if {"Ref": role} in p["Roles"]]
    return [statement for policy in [*inline, *attached] for statement in policy["PolicyDocument"]["Statement"]]


def every_action(value: Any) -> list[str]:
    """Returns all values of `Action` in a value, at any depth."""
    if isinstance(value, list):
        return [action for item in value for action in every_action(item)]
    if not isinstance(value, dict):
        return []
    own = as_list(value["Action"]) if "Action" in value else []
    return own + [action for item in value.values() for action in every_action(item)]


def section(document: str, heading: str) -> str:
    """Returns the text below a heading of second level of a document."""
    text = (ROOT / "docs" / document).read_text().partition(f"\n## {heading}\n")[2]
    assert text
    return text.partition("\n## ")[0]
