"""Every log line names tenant, configuration and replay by the same fields, so that one query finds all lines."""

from __future__ import annotations

import re

import pytest

from infra.lint.template import ROOT

CALL = re.compile(r"\b(?:error|warn|info|info_span)!\((.*?)\)[;)]", re.DOTALL)
# Other names of the fields, and `tenant#configuration` as one value.
OTHER_NAME = re.compile(
    r"(?<![\w.])(?:tenant_id|configuration_id|replay_id)\b\s*="
    r"|(?<![\w.])[%?](?:tenant_id|configuration_id|replay_id)\b"
    r"|\bconfiguration\s*=\s*[%?](?:\w+\.)*key\b(?!\.)"
    r"|(?:^|,)\s*[%?]key\b(?!\.)"
)
KEY_AS_CONFIGURATION = re.compile(r"(?<![\w.])[%?]configuration\b")


def mistakes(source: str) -> list[str]:
    """Returns the log calls of a Rust source that break the rule. A value `configuration` must be an ID, not a key."""
    return [
        call[1]
        for call in CALL.finditer(source)
        if OTHER_NAME.search(call[1]) or (KEY_AS_CONFIGURATION.search(call[1]) and has_key(source[: call.start()]))
    ]


def has_key(before: str) -> bool:
    """Returns whether the function that ends `before` has a parameter `configuration` that is a key, and still names that."""
    function = before[before.rfind("fn ") :]
    is_taken_apart = re.search(r"\blet [^=]*\bconfiguration\b[^=:]*=", function)
    return re.search(r"\bconfiguration: &?ConfigurationKey\b", function) is not None and not is_taken_apart


SOURCES = sorted(path for folder in ("functions", "shared") for path in (ROOT / folder).rglob("*.rs"))


def test_log_lines_name_tenant_and_configuration_in_one_way() -> None:
    found = {str(path.relative_to(ROOT)): mistakes(path.read_text()) for path in SOURCES}
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    ("source", "is_wrong"),
    [
        ('tracing::warn!(tenant_id = %tenant, "a");', True),
        ('tracing::warn!(%error,\n configuration_id = %key.configuration_id, "a");', True),
        ('tracing::warn!(%replay_id, "a");', True),
        ('tracing::warn!(configuration = %key, "a");', True),
        ('tracing::warn!(configuration = %stored.key, "a");', True),
        ('tracing::warn!(%key, "a");', True),
        ('fn f(configuration: &ConfigurationKey) { tracing::warn!(%configuration, "a"); }', True),
        ('fn f(configuration: &ConfigurationId) { tracing::warn!(%configuration, "a"); }', False),
        ('tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id, "a");', False),
        ('tracing::warn!(object_key = %key, "a");', False),
        ("let tenant_id = 1;", False),
    ],
)
def test_other_names_are_found(source: str, is_wrong: bool) -> None:
    assert bool(mistakes(source)) == is_wrong
