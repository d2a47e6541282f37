"""Starts MiniStack 1.5.33 with patches for its handling of policies, transactions and templates. AWS needs none of this.

Run by the emulator's Python instead of `python -m ministack`. Workarounds that are possible from outside, after a deployment,
are in repairs.py. Each function names the defect that it patches; without it the deployment or a test in tests/e2e or
tests/store-conformance fails.
"""

from __future__ import annotations

import json
import re
import sys
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import dynamodb, eventbridge, iam, s3, sqs
from ministack.services.cloudformation import changesets, handlers, provisioners, stacks

resolve_condition_key = iam_evaluator._resolve_condition_key
evaluate_resource_policy = iam_evaluator.evaluate_resource_policy
evaluate_conditions = handlers._evaluate_conditions
foreign_bucket_allows = s3._foreign_bucket_allows
transact_write_items = dynamodb._transact_write_items
service_context = iam_actions.dynamodb_service_context
transaction_checks = iam_actions.dynamodb_transaction_checks
enforce = iam_evaluator.enforce
invoke_target = eventbridge._invoke_target

# "MB" of the limit as DynamoDB Local counts it: 1,024 times 1,024.
MAX_TRANSACTION_LENGTH = 4 * 1024 * 1024

# The caller of the current request for another account's bucket.
caller_of_foreign_bucket: ContextVar[iam_evaluator.PrincipalInfo | None] = ContextVar("caller", default=None)


def repaired_condition_key(key: str, context: Any) -> Any:
    """Resolves aws:PrincipalArn of a session to the ARN of its role, with the path. MiniStack takes the session's ARN.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn.
    """
    value = resolve_condition_key(key, context)
    if key.lower() != "aws:principalarn" or context.principal_type != "AssumedRole":
        return value
    name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
    role = iam._roles.get_scoped(context.principal_account, None, name)
    return role["Arn"] if role else value


def repaired_conditions(template: dict[str, Any], params: dict[str, Any]) -> dict[str, bool]:
    """Resolves pseudo parameters in conditions. MiniStack takes their names as values."""
    pseudo = {"AWS::AccountId": get_account_id(), "AWS::Region": get_region(), "AWS::Partition": "aws"}
    return evaluate_conditions(template, {name: {"Value": value} for name, value in pseudo.items()} | params)


def repaired_foreign_bucket_allows(
    owner: str, bucket: str, key: str, method: str, query: dict, caller: str, headers: dict | None = None
) -> bool:
    """Evaluates the policy of another account's bucket for the calling role or user.

    MiniStack evaluates it for the root user of the caller's account, so that a policy that names a role or a user allows nothing.
    """
    principal = iam_evaluator.resolve_principal(extract_access_key_id(headers or {}, query), caller) if caller else None
    is_known = isinstance(principal, iam_evaluator.PrincipalInfo)
    token = caller_of_foreign_bucket.set(principal if is_known else None)
    try:
        return foreign_bucket_allows(owner, bucket, key, method, query, caller, headers)
    finally:
        caller_of_foreign_bucket.reset(token)


def repaired_resource_policy(document: Any, context: Any, *arguments: Any, **options: Any) -> Any:
    """The other half of `repaired_foreign_bucket_allows`."""
    principal = caller_of_foreign_bucket.get()
    if principal is not None:
        context = replace(
            context,
            principal_arn=principal.arn,
            principal_type=principal.type,
            principal_account=principal.account,
            principal_keys=principal.keys,
        )
    return evaluate_resource_policy(document, context, *arguments, **options)


def repaired_transact_write_items(data: dict) -> tuple:
    """Applies the limit of 4 MB to the size of the items of a transaction, as AWS does.

    MiniStack applies it to the text of the request, in which bytes are in base 64: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.
    """
    puts = [action.get("Put", {}).get("Item", {}) for action in data.get("TransactItems", [])]
    if sum(dynamodb._item_size_bytes(item) for item in puts) > MAX_TRANSACTION_LENGTH:
        return dynamodb.error_response_json("ValidationException", "Transaction payload size cannot exceed 4MB", 400)
    return transact_write_items(data)


class ItemArn(str):
    """The ARN of a table, with the partition key of the item that a transaction accesses there."""

    leading_keys: list[str]


def leading_keys(request: Any) -> list[str]:
    """Returns the partition key of the item that a request, or one action of a transaction, names; or of a query of a table."""
    if not isinstance(request, dict):
        return []
    names = {table["pk_name"] for (*_, name), table in dynamodb._tables.all_items() if name == request.get("TableName")}
    if "KeyConditionExpression" in request and "IndexName" not in request:
        item = equal_attributes(request)
    else:
        item = request.get("Key") or request.get("Item") or {}
    return [text for name in names for text in item.get(name, {}).values()]


def equal_attributes(query: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes whose values a query gives by `=`."""
    names, values = query.get("ExpressionAttributeNames") or {}, query.get("ExpressionAttributeValues") or {}
    equal = re.findall(r"([#\w]+)\s*=\s*(:\w+)", query["KeyConditionExpression"])
    return {names.get(name, name): values.get(value, {}) for name, value in equal}


def repaired_service_context(body: bytes) -> dict[str, Any]:
    """Adds the condition keys that MiniStack lacks: dynamodb:LeadingKeys, the partition keys of a request, and dynamodb:Attributes
    of a BatchGetItem, which has a projection for each table:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html.
    """
    request = json.loads(body or b"{}")
    keys = leading_keys(request)
    attributes = batch_attributes(request)
    return (
        service_context(body)
        | ({"dynamodb:LeadingKeys": keys} if keys else {})
        | ({"dynamodb:Attributes": attributes} if attributes else {})
    )


def batch_attributes(request: Any) -> list[str]:
    """Returns the attributes that a BatchGetItem names."""
    tables = request.get("RequestItems") if isinstance(request, dict) else None
    if not isinstance(tables, dict):
        return []
    projections = [table for table in tables.values() if isinstance(table, dict) and "ProjectionExpression" in table]
    return [
        table.get("ExpressionAttributeNames", {}).get(name.strip(), name.strip())
        for table in projections
        for name in table["ProjectionExpression"].split(",")
    ]


def repaired_transaction_checks(action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
    """Adds dynamodb:LeadingKeys to the checks of a transaction, which are made for each item."""
    checks = transaction_checks(action, body, region, account)
    if not checks:
        return checks
    details = [
        item[member]
        for item in json.loads(body)["TransactItems"]
        for member in iam_actions._DYNAMODB_TRANSACT_ITEM_ACTIONS
        if member in item
    ]
    repaired = []
    for (item_action, arn), detail in zip(checks, details, strict=True):
        item_arn = ItemArn(arn)
        item_arn.leading_keys = leading_keys(detail)
        repaired.append((item_action, item_arn))
    return repaired


def repaired_enforce(
    access_key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    """The other half of `repaired_transaction_checks`."""
    if isinstance(resource_arn, ItemArn) and resource_arn.leading_keys:
        service_context = (service_context or {}) | {"dynamodb:LeadingKeys": resource_arn.leading_keys}
    return enforce(access_key, action, service, region, resource_arn=resource_arn, service_context=service_context)


def repaired_invoke_target(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> None:
    """Asks the policy of a rule's queue, and sends what it refuses to the dead-letter queue of the target.

    MiniStack delivers to every queue, and has no dead-letter queues: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html.
    """
    rule_arn = rule.get("Arn", "")

    def is_taken(queue: str) -> bool:
        return sqs.queue_policy_allows(queue, "events.amazonaws.com", rule_arn, get_account_id())

    if ":sqs:" not in target.get("Arn", "") or ":rule/" not in rule_arn or is_taken(target["Arn"]):
        invoke_target(target, event, rule, view)
        return
    undelivered = target.get("DeadLetterConfig", {}).get("Arn")
    if undelivered and is_taken(undelivered):
        invoke_target({"Id": target.get("Id"), "Arn": undelivered}, event, rule, view)


def create_query_definition(logical_id: str, _: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
    """Stands for a saved query. MiniStack doesn't know them, and refuses a template that has one."""
    name = f"{stack}-{logical_id}"
    return name, {"QueryDefinitionId": name}


def update_query_definition(name: str, *_: Any) -> tuple[str, dict[str, Any]]:
    return name, {"QueryDefinitionId": name}


if __name__ == "__main__":
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
        "create": create_query_definition,
        "update": update_query_definition,
        "delete": lambda *_: None,
    }
    iam_evaluator._resolve_condition_key = repaired_condition_key
    iam_evaluator.evaluate_resource_policy = repaired_resource_policy
    iam_evaluator.enforce = repaired_enforce
    iam_actions.dynamodb_service_context = repaired_service_context
    iam_actions.dynamodb_transaction_checks = repaired_transaction_checks
    for module in (changesets, handlers, stacks):
        module._evaluate_conditions = repaired_conditions
    eventbridge._invoke_target = repaired_invoke_target
    s3._foreign_bucket_allows = repaired_foreign_bucket_allows
    dynamodb._DDB_TXN_MAX_BYTES = sys.maxsize
    dynamodb._transact_write_items = repaired_transact_write_items
    main()
