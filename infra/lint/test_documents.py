"""Every relative link of the documents points to a file that exists, and every anchor to a heading of that file."""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)?)\)")
FENCE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


GENERATED = {"__pycache__", "node_modules", "target"}


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


def test_the_picture_of_the_readme_has_every_function() -> None:
    picture = (ROOT / "README.md").read_text().split("```")[1]
    functions = {path.name for path in (ROOT / "functions").iterdir() if (path / "Cargo.toml").exists()}
    assert functions <= set(re.findall(r"[a-z]+", picture))


def test_the_readme_names_every_permission_of_a_customers_role() -> None:
    template = yaml_parse((ROOT / "infra" / "customer" / "cloudformation.yaml").read_text())
    [policy] = template["Resources"]["Role"]["Properties"]["Policies"]
    # A statement is a mapping, or the choice between one and nothing.
    chosen = [statement.get("Fn::If", [statement])[-2:] for statement in policy["PolicyDocument"]["Statement"]]
    actions: set[str] = set()
    for statement in (one for choice in chosen for one in choice if "Action" in one):
        actions |= {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
    destinations = (ROOT / "README.md").read_text().partition("- **Destinations**")[2].partition("\n- **")[0]
    assert "s3:PutObject" in actions
    assert set(re.findall(r"`((?:s3|kms):\w+)`", destinations)) == actions


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


SERVICE = ("shared", "functions")


def dependencies_between_crates() -> dict[str, set[str]]:
    """The crates of the workspace that each crate depends on, without its tests. The crates in tests/ are left out."""
    manifests = {
        str(path.parent.relative_to(ROOT)): tomllib.loads(path.read_text())
        for folder in (*SERVICE, "cli", "infra/dev-tools")
        for path in sorted((ROOT / folder).rglob("Cargo.toml"))
    }
    own = {manifest["package"]["name"] for manifest in manifests.values()}
    return {path: own & set(manifest.get("dependencies", {})) for path, manifest in manifests.items()}


def test_the_converter_alone_links_the_encoders_of_other_formats() -> None:
    """A dependency of a crate that another function has as well would make that function larger."""
    crates = {Path(path).name: used for path, used in dependencies_between_crates().items()}
    for function in sorted(path.name for path in (ROOT / "functions").iterdir() if (path / "Cargo.toml").exists()):
        linked: set[str] = set()
        todo = {function}
        while todo:
            linked |= todo
            todo = {used for crate in todo for used in crates[crate]} - linked
        assert ({"columnar", "conversion"} <= linked) == (function == "converter")
        manifests = [path for folder in SERVICE for path in (ROOT / folder).rglob("Cargo.toml")]
        texts = [tomllib.loads(path.read_text()) for path in manifests if path.parent.name in linked]
        outside = {name for manifest in texts for name in manifest.get("dependencies", {})}
        assert ({"parquet", "zstd"} <= outside) == (function == "converter")
        assert function == "converter" or not {"columnar", "conversion", "parquet", "zstd"} & (linked | outside)


def test_the_dependencies_in_the_architecture_are_those_of_the_manifests() -> None:
    crates = dependencies_between_crates()
    section = (ROOT / "docs" / "ARCHITECTURE.md").read_text().partition("\n### Dependencies\n")[2]
    drawn: defaultdict[str, set[str]] = defaultdict(set)
    for line in section.split("```")[1].strip().splitlines():
        users, used = line.split("──►")
        for user in users.split(","):
            paths = [path for path in crates if Path(path).match(user.strip()) or Path(path).name == user.strip()]
            assert paths, line
            for path in paths:
                drawn[path] |= {name.strip() for name in used.split(",")}
    assert drawn == {path: used for path, used in crates.items() if used}


def test_tests_that_the_security_page_names_exist() -> None:
    """A name with three underscores or more is a test's."""
    named = set(re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+){3,})`", (ROOT / "docs" / "SECURITY.md").read_text()))
    defined = set(re.findall(r"\b(?:fn|def) (\w+)", sources()))
    assert len(named) > 50
    assert named - defined == set()


def test_log_messages_that_the_runbook_quotes_exist() -> None:
    """A quotation of three words or more is a message, or a command of AWS."""
    runbook = prose(ROOT / "docs" / "OPERATIONS.md") + prose(ROOT / "docs" / "RUNBOOKS.md")
    quoted = {" ".join(text.split()) for text in re.findall(r"`([a-z']+(?: [a-z'-]+){2,})`", runbook)}
    messages = {text for text in quoted if not text.startswith(("aws ", "sam "))}
    assert len(messages) >= 8
    logged = re.sub(r"\\\n\s*", "", sources())
    assert {message for message in messages if message not in logged} == set()


PLACEHOLDER = re.compile(r"\{[^}]*\}")


def lines_unlike_the_program(excerpt: str, program: str) -> list[str]:
    """The headings, commands and verdicts of an excerpt that no `step` or `say` of the program prints."""
    shown = [line for line in excerpt.splitlines() if line.startswith(("▸ ", "  $ ", "OK: "))]
    texts = re.findall(r"""\b(?:step|say)\(\s*f?"(?:\\n)?([^"]+)""", program)
    # A text of placeholders alone would match every line.
    fixed = [text for text in texts if len(PLACEHOLDER.sub("", text).split()) >= 2]
    forms = [re.compile(".*".join(map(re.escape, PLACEHOLDER.split(text)))) for text in fixed]
    return [line for line in shown if not any(form.fullmatch(line.removeprefix("▸ ")) for form in forms)]


def test_the_readme_shows_the_output_of_the_demonstration() -> None:
    excerpt = (ROOT / "README.md").read_text().partition("The end of `make demo`")[2].split("```")[1]
    program = (ROOT / "infra" / "local" / "demo.py").read_text()
    assert len(re.findall("^(?:▸|OK)", excerpt, re.MULTILINE)) >= 5
    assert lines_unlike_the_program(excerpt, program) == []
    assert lines_unlike_the_program("▸ Amber looks into s3://bucket\n", program) == ["▸ Amber looks into s3://bucket"]


def paragraphs_that_turn_into_lists(path: Path) -> list[str]:
    """The lines that a wrap made begin like an item of a numbered list: the line before has not ended its paragraph."""
    lines = prose(path).splitlines()
    return [
        line
        for before, line in pairwise(lines)
        if re.match(r" *\d+[.)] ", line)
        and before.strip()
        and not re.match(r" *(\d+[.)]|[-*+|#]) ", before)
        and len(before) - len(before.lstrip()) <= len(line) - len(line.lstrip())
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_of_a_paragraph_begins_like_a_list(path: Path) -> None:
    assert paragraphs_that_turn_into_lists(path) == []


def test_a_paragraph_that_turns_into_a_list_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("Doubled, times 0.5 to\n1. Refused\n\n1. One,\n   continued\n2. Two\n\nSteps:\n\n1. One\n")
    assert paragraphs_that_turn_into_lists(document) == ["1. Refused"]


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
