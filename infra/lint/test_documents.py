"""Every relative link of the documents points to a file that exists, and every anchor to a heading of that file."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)?)\)")
FENCE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


GENERATED = {"__pycache__", "target"}


def files(*suffixes: str) -> list[Path]:
    """The files of the repository that have one of the suffixes, without hidden and generated folders."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in GENERATED)
        found += [Path(folder, name) for name in sorted(names) if name.endswith(suffixes)]
    return found


DOCUMENTS = files(".md")


@cache
def prose(path: Path) -> str:
    """The document without its fenced blocks."""
    return FENCE.sub("", path.read_text())


def links(path: Path) -> list[str]:
    return LINK.findall(CODE.sub("", prose(path)))


@cache
def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings: lower case, hyphens for spaces, a number for each repetition."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", prose(path), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def broken(path: Path) -> list[str]:
    """The links of a document that point nowhere."""
    wrong = []
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_document_point_to_files_and_headings(path: Path) -> None:
    assert broken(path) == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    """A link to a folder reaches all documents in it."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for name in (link.partition("#")[0] for link in links(path) if not re.match(r"[a-z]+:", link)):
            target = (path.parent / name).resolve()
            waiting += target.glob("*.md") if target.is_dir() else [target] if target in DOCUMENTS else []
    assert set(DOCUMENTS) - reached == set()


def test_documents_that_sources_name_exist() -> None:
    """Sources name documents from the root of the repository, as in `docs/SEMANTICS.md`."""
    missing = {
        (str(path.relative_to(ROOT)), name)
        for path in files(".py", ".rs", ".toml", ".yaml")
        for name in re.findall(r"(?<![\w./-])docs/[\w./-]+\.md\b", path.read_text())
        if not (ROOT / name).exists()
    }
    assert missing == set()


def sources() -> str:
    return "\n".join(path.read_text() for path in files(".py", ".rs"))


def test_constants_that_the_limits_name_exist() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", (ROOT / "docs" / "LIMITS.md").read_text()))
    defined = set(re.findall(r"\bconst (\w+):", sources()))
    assert len(named) > 50
    assert named - defined == set()


def test_tests_that_the_security_page_names_exist() -> None:
    """A name with three underscores or more is a test's."""
    named = set(re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+){3,})`", (ROOT / "docs" / "SECURITY.md").read_text()))
    defined = set(re.findall(r"\b(?:fn|def) (\w+)", sources()))
    assert len(named) > 50
    assert named - defined == set()


def test_log_messages_that_the_runbook_quotes_exist() -> None:
    """A quotation of three words or more is a message, or a command of AWS."""
    runbook = prose(ROOT / "docs" / "OPERATIONS.md")
    quoted = {" ".join(text.split()) for text in re.findall(r"`([a-z']+(?: [a-z'-]+){2,})`", runbook)}
    messages = {text for text in quoted if not text.startswith(("aws ", "sam "))}
    assert len(messages) >= 8
    logged = re.sub(r"\\\n\s*", "", sources())
    assert {message for message in messages if message not in logged} == set()


def test_links_that_point_nowhere_are_found(tmp_path: Path) -> None:
    document, other = tmp_path / "a.md", tmp_path / "b.md"
    other.write_text("# One\n\n## Two words\n\n## Two words\n\n```\n## Not a heading\n```\n")
    document.write_text(
        "# Here\n"
        "[file](b.md) [heading](b.md#two-words) [repeated](b.md#two-words-1) [own](#here) [web](https://example.com/#x)\n"
        "`[code](missing.md)`\n"
        "[file](missing.md) [heading](b.md#three) [fenced](b.md#not-a-heading) [own](#there)\n"
    )
    assert broken(document) == ["missing.md", "b.md#three", "b.md#not-a-heading", "#there"]
