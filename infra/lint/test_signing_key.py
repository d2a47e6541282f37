"""The signing key is rotated by parameters alone, and everything uses the key of the slot that is in force."""

from __future__ import annotations

import json

from infra.lint.template import FUNCTIONS, RESOURCES, TEMPLATE

SLOTS = {"first": ("SignsWithFirstKey", "SigningKey"), "second": ("SignsWithSecondKey", "SecondSigningKey")}


def in_force(of_first: object, of_second: object) -> dict[str, object]:
    """Returns the choice between the two keys."""
    return {"Fn::If": ["SignsWithFirstKey", of_first, of_second]}


def test_the_stack_has_the_key_of_the_slot_alone() -> None:
    parameter = TEMPLATE["Parameters"]["SigningKeySlot"]
    assert parameter["AllowedValues"] == list(SLOTS)
    # Stacks from before the parameter keep their key.
    assert SLOTS[parameter["Default"]][1] == "SigningKey"
    for slot, (condition, resource) in SLOTS.items():
        assert TEMPLATE["Conditions"][condition] == {"Fn::Equals": [{"Ref": "SigningKeySlot"}, slot]}
        assert RESOURCES[resource]["Condition"] == condition


def test_both_keys_are_the_same_except_for_their_condition() -> None:
    first, second = ({**RESOURCES[resource], "Condition": None} for _, resource in SLOTS.values())
    assert first == second
    # A key that leaves the stack stays, with its policy, so that its public half can be read.
    assert (first["DeletionPolicy"], first["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_whatever_refers_to_a_signing_key_refers_to_the_one_in_force() -> None:
    arn = in_force({"Fn::GetAtt": ["SigningKey", "Arn"]}, {"Fn::GetAtt": ["SecondSigningKey", "Arn"]})
    having = [name for name in FUNCTIONS if "SIGNING_KEY_ARN" in variables(name)]
    assert sorted(having) == ["ApiFunction", "ConverterFunction", "ExporterFunction", "HousekeeperFunction"]
    assert all(variables(name)["SIGNING_KEY_ARN"] == arn for name in having)
    assert TEMPLATE["Outputs"]["SigningKeyArn"]["Value"] == arn
    alias = RESOURCES["SigningKeyAlias"]["Properties"]["TargetKeyId"]
    assert alias == in_force({"Ref": "SigningKey"}, {"Ref": "SecondSigningKey"})
    text = json.dumps([RESOURCES, TEMPLATE["Outputs"]])
    for _, resource in SLOTS.values():
        references = text.count(f'["{resource}", "Arn"]') + text.count(f'{{"Ref": "{resource}"}}')
        assert references == len(having) + 2, resource


def variables(function: str) -> dict[str, object]:
    """Returns the environment variables of a function, without those of all functions."""
    found: dict[str, object] = RESOURCES[function]["Properties"].get("Environment", {}).get("Variables", {})
    return found
