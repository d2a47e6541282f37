"""Makes LocalStack enforce a role's trust policy for callers of other accounts.

LocalStack itself lets anyone assume any role. The service refuses a role that can be assumed without its external ID, so no role
would work.

Only the elements of customers' trust policies are supported. A policy with any other element lets nobody in, so that no test
passes by mistake. Calls within an account are not checked: LocalStack's own services make them.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable
from typing import Any

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.runtime import hooks
from localstack.services.sts.provider import StsProvider
from localstack.utils.aws.arns import extract_account_id_from_arn
from localstack.utils.aws.request_context import extract_access_key_id_from_auth_header
from localstack.utils.patch import patch
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

# The condition operators: each compares the request's value, None if it has none, with a value of the condition.
OPERATORS: dict[str, Callable[[str | None, str], bool]] = {
    "ArnEquals": lambda actual, wanted: actual is not None and fnmatch.fnmatchcase(actual, wanted),
    "ArnLike": lambda actual, wanted: actual is not None and fnmatch.fnmatchcase(actual, wanted),
    "StringEquals": lambda actual, wanted: actual == wanted,
    "StringEqualsIfExists": lambda actual, wanted: actual is None or actual == wanted,
    "StringLike": lambda actual, wanted: actual is not None and fnmatch.fnmatchcase(actual, wanted),
}
KEYS = ("aws:PrincipalArn", "sts:ExternalId")


class UnknownElement(Exception):
    """The policy has an element that isn't evaluated here."""


def lets_in(policy: dict[str, Any], account: str, request: dict[str, str | None]) -> bool:
    """Checks whether the trust policy lets in a principal of that account whose request has these values under KEYS.

    Raises UnknownElement."""
    statements = as_list(policy["Statement"])
    if any(statement["Effect"] != "Allow" for statement in statements):
        raise UnknownElement("Effect")
    return any(
        "sts:AssumeRole" in as_list(statement["Action"])
        and names(statement["Principal"], account, request["aws:PrincipalArn"])
        and all(
            holds(operator, key, as_list(values), request)
            for operator, wanted in statement.get("Condition", {}).items()
            for key, values in wanted.items()
        )
        for statement in statements
    )


def names(principal: Any, account: str, arn: str | None) -> bool:
    wanted = [principal] if isinstance(principal, str) else as_list(principal.get("AWS", []))
    return any(name in ("*", account, f"arn:aws:iam::{account}:root", arn) for name in wanted)


def holds(operator: str, key: str, values: list[str], request: dict[str, str | None]) -> bool:
    if operator not in OPERATORS or key not in KEYS:
        raise UnknownElement(f"{operator} of {key}")
    return any(OPERATORS[operator](request[key], value) for value in values)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def caller_role(account: str, access_key_id: str) -> str | None:
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(access_key_id)
    return session.role_arn if session else None


def check(context: RequestContext, role_arn: str, external_id: str | None) -> None:
    """Raises AccessDenied if the role's trust policy does not let the caller in."""
    owner = extract_account_id_from_arn(role_arn)
    if context.is_internal_call or owner in (None, context.account_id):
        return
    caller = caller_role(context.account_id, extract_access_key_id_from_auth_header(context.request.headers))
    request = {"aws:PrincipalArn": caller, "sts:ExternalId": external_id}
    role = next((role for role in iam_backends[owner]["aws"].roles.values() if role.arn == role_arn), None)
    why = "there is no such role"
    if role is not None:
        document = role.assume_role_policy_document
        try:
            if lets_in(json.loads(document) if isinstance(document, str) else document, context.account_id, request):
                return
            why = "its trust policy does not allow it"
        except UnknownElement as unknown:
            why = f"its trust policy has an element that is not evaluated here: {unknown}"
    message = f"User: {caller or context.account_id} is not authorized to perform: sts:AssumeRole on {role_arn}: {why}"
    raise CommonServiceException("AccessDenied", message, 403, True)


@hooks.on_infra_start()
def enforce_trust_policies() -> None:
    @patch(StsProvider.assume_role)
    def assume_role(
        original: Callable[..., Any],
        self: StsProvider,
        context: RequestContext,
        role_arn: str,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        check(context, role_arn, kwargs.get("external_id"))
        return original(self, context, role_arn, *args, **kwargs)
