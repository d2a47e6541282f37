"""Starts MiniStack 1.5.33 with a repair of its evaluation of policies; nothing of it is needed on AWS.

Run by the emulator's own Python, in the place of `python -m ministack`. What can be repaired from the outside, after a deploy,
is in repairs.py.
"""

from __future__ import annotations

from typing import Any

from ministack.app import main
from ministack.core import iam_evaluator
from ministack.services import iam

resolve_condition_key = iam_evaluator._resolve_condition_key


def repaired_condition_key(key: str, context: Any) -> Any:
    """It takes the ARN of a session for aws:PrincipalArn. To AWS that is the ARN of the session's role, with its path:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn.
    """
    value = resolve_condition_key(key, context)
    if key.lower() != "aws:principalarn" or context.principal_type != "AssumedRole":
        return value
    name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
    role = iam._roles.get_scoped(context.principal_account, None, name)
    return role["Arn"] if role else value


if __name__ == "__main__":
    iam_evaluator._resolve_condition_key = repaired_condition_key
    main()
