"""Works around defects of MiniStack 1.5.33 in the deployed stack. AWS needs none of this.

Each function names the defect that it repairs. Idempotent: run after every deployment.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

from infra.local.settings import STACK_NAME, STAGE

# The path of every role in the template.
ROLE_PATH = "/audit-export/"
# Actions that also permit the batch form of the request.
BATCHED = ("sqs:SendMessage", "sqs:ChangeMessageVisibility")


def repair(session: boto3.Session, endpoint: str, outputs: dict[str, str]) -> None:
    def client(service: str) -> Any:
        return session.client(service, endpoint_url=endpoint)

    _gateway_responses(client("cloudformation"), client("apigateway"), outputs["RestApiId"])
    _concurrency(client("lambda"))
    _key_policy(client("kms"), outputs["SecretKeyArn"])
    _batch_actions(client("iam"))


def _gateway_responses(cloudformation: Any, api_gateway: Any, api_id: str) -> None:
    """Adds the gateway responses, which the import of an OpenAPI body drops."""
    template = cloudformation.get_template(StackName=STACK_NAME, TemplateStage="Processed")["TemplateBody"]
    if isinstance(template, str):
        template = json.loads(template)
    body = template["Resources"]["HttpApi"]["Properties"]["Body"]
    for kind, response in body["x-amazon-apigateway-gateway-responses"].items():
        status = {"statusCode": str(response["statusCode"])} if "statusCode" in response else {}
        api_gateway.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            responseTemplates=response["responseTemplates"],
            responseParameters=response.get("responseParameters", {}),
            **status,
        )
    api_gateway.create_deployment(restApiId=api_id, stageName=STAGE)


def _concurrency(functions: Any) -> None:
    """Sets the concurrency as a number. A parameter stays text, and the poller of all queues stops at the first such mapping."""
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        concurrency = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
        if concurrency is not None:
            functions.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(concurrency)}
            )


def _key_policy(keys: Any, key_arn: str) -> None:
    """Removes the conditions of the key policy: kms:EncryptionContext keys are unknown, so such statements never apply."""
    policy = json.loads(keys.get_key_policy(KeyId=key_arn, PolicyName="default")["Policy"])
    for statement in policy["Statement"]:
        statement.pop("Condition", None)
    keys.put_key_policy(KeyId=key_arn, PolicyName="default", Policy=json.dumps(policy))


def _batch_actions(iam: Any) -> None:
    """Permits the batch actions of SQS, which MiniStack checks although IAM has no such actions.

    On AWS, sqs:SendMessage also permits SendMessageBatch; the same applies to sqs:ChangeMessageVisibility.
    """
    for role in iam.list_roles(PathPrefix=ROLE_PATH)["Roles"]:
        name = role["RoleName"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            changed = False
            for statement in document["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                batches = [f"{action}Batch" for action in BATCHED if action in actions]
                if missing := [action for action in batches if action not in actions]:
                    statement["Action"] = [*actions, *missing]
                    changed = True
            if changed:
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
