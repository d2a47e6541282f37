"""The page for operators, docs/OPERATIONS.md, says what the template does."""

from __future__ import annotations

import re

from infra.lint.template import RESOURCES, ROOT, TEMPLATE


def section(document: str, heading: str) -> str:
    """Returns the text below a heading of second level of a document."""
    text = (ROOT / "docs" / document).read_text().partition(f"\n## {heading}\n")[2]
    assert text
    return text.partition("\n## ")[0]


def test_whoever_erases_a_tenant_knows_every_queue_that_keeps_its_messages() -> None:
    rows = re.findall(r"^ *\| (`\w+DeadLetterQueue`[^|]*)\|", section("OPERATIONS.md", "Erase a tenant"), re.MULTILINE)
    named = re.findall(r"`(\w+)`", " ".join(rows))
    dead_letters = [name for name in RESOURCES if name.endswith("DeadLetterQueue")]
    assert len(dead_letters) == 9
    assert sorted(named) == sorted(dead_letters)


def test_the_documentation_says_that_a_rate_holds_for_each_path() -> None:
    """Two methods have the rate for events, so that both together may take twice as many requests."""
    settings = RESOURCES["HttpApi"]["Properties"]["MethodSettings"]
    events = [s["ResourcePath"] for s in settings if s["ThrottlingRateLimit"] == {"Ref": "IngestRequestsPerSecond"}]
    assert len(events) == 2
    for parameter in ("IngestRequestsPerSecond", "IngestRequestsBurst"):
        assert "for each of the two paths" in TEMPLATE["Parameters"][parameter]["Description"]
    for parameter in ("ApiRequestsPerSecond", "ApiRequestsBurst"):
        assert "each method" in TEMPLATE["Parameters"][parameter]["Description"].lower()
    (row,) = re.findall(r"^\| `ApiRequestsPerSecond`.*$", section("OPERATIONS.md", "Deploy"), re.MULTILINE)
    assert "for each of the two paths" in row


def test_the_quota_of_sts_is_named_where_runs_are_raised() -> None:
    (row,) = re.findall(r"^\| `MaximumConcurrentRuns`, .*$", section("OPERATIONS.md", "Deploy"), re.MULTILINE)
    assert "(RUNBOOKS.md#quotas)" in row
    assert "`AssumeRole`" in section("RUNBOOKS.md", "Quotas")
