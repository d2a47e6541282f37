"""The fenced blocks of docs/CUSTOMER_GUIDE.md and docs/BUCKETS.md (the guide), docs/READING.md, docs/PRODUCERS.md and
docs/IDENTITY.md.

Comments before the guide's blocks tag them: `<!-- guide: cli iam -->` is for readers who chose the command line and IAM commands.
A block without a comment is for all readers. In the page on reading, `<!-- reading: duckdb -->` names the readers of a block, or the
file that it is. In the page for producers, `<!-- producers: send -->` names the test of a block, and
`<!-- example: send_events.py -->` the file in examples/. In the page on identity providers, `<!-- identity: deploy -->` names a
block.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.settings import ROOT

GUIDE = ROOT / "docs" / "CUSTOMER_GUIDE.md"
BUCKETS = ROOT / "docs" / "BUCKETS.md"
READING = ROOT / "docs" / "READING.md"
PRODUCERS = ROOT / "docs" / "PRODUCERS.md"
IDENTITY = ROOT / "docs" / "IDENTITY.md"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    section: str
    tags: frozenset[str]
    language: str
    text: str
    line: int


def read_blocks(page: Path, kind: str) -> list[Block]:
    """Returns all blocks of the page, in order, with the tags of comments of this kind."""
    blocks: list[Block] = []
    section, tags = "", frozenset[str]()
    fence: str | None = None
    text: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if fence is not None:
            if line == "```":
                blocks.append(Block(section, tags, fence, "\n".join(text) + "\n", number - len(text)))
                fence, tags, text = None, frozenset(), []
            else:
                text.append(line)
        elif line.startswith("```"):
            fence = line.removeprefix("```")
        elif found := re.fullmatch(rf"<!-- {kind}: (.*) -->", line):
            tags = frozenset(found[1].split())
        elif line.startswith("#"):
            section = line.lstrip("#").strip()
        elif line.strip():
            tags = frozenset()
    assert fence is None
    return blocks


def commands(tag: str) -> str:
    """Returns the commands of the page for producers with a tag."""
    [block] = [block for block in read_blocks(PRODUCERS, "producers") if tag in block.tags]
    return block.text


def setup_permissions() -> list[str]:
    """Returns the permissions that the guide asks for before `audit-export setup`."""
    section = GUIDE.read_text().partition("\n### Permissions for setup\n")[2].partition("\n\n#")[0]
    _, _, *rows = re.findall(r"^\|.*\|$", section, re.MULTILINE)
    return sorted({found for row in rows for found in re.findall(r"`([a-z0-9]+:[A-Za-z]+)`", row)})


BLOCKS = [block for page in (GUIDE, BUCKETS) for block in read_blocks(page, "guide")]
READING_BLOCKS = read_blocks(READING, "reading")
IDENTITY_BLOCKS = read_blocks(IDENTITY, "identity")


def identity_block(tag: str) -> str:
    """Returns the text of a block of the page on identity providers."""
    [found] = [block.text for block in IDENTITY_BLOCKS if tag in block.tags]
    return found


def blocks_of(section: str, tag: str) -> list[Block]:
    """Returns the blocks of a section of the guide with a tag; fails if there are none."""
    found = [block for block in BLOCKS if block.section == section and tag in block.tags]
    assert found, (section, tag)
    return found


def statements(tag: str) -> list[str]:
    """Returns the blocks of the page on reading with a tag, in order; fails if there are none."""
    found = [block.text for block in READING_BLOCKS if tag in block.tags]
    assert found, tag
    return found


def json_documents(text: str) -> list[Any]:
    """Parses consecutive JSON documents, as jq prints them."""
    documents, decoder, position = [], json.JSONDecoder(), 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        document, position = decoder.raw_decode(text, position)
        documents.append(document)
    return documents


def athena_columns() -> dict[str, str]:
    """Returns the columns of the page's Athena table of NDJSON, partition columns included, with their types."""
    [ddl] = statements("athena")
    listed = re.search(r"audit_events \(\n(.*?)\n\)\nPARTITIONED BY \(`(date)` (string)\)", ddl, re.DOTALL)
    assert listed
    lines = (line.strip().rstrip(",").partition(" ") for line in listed[1].splitlines())
    columns = {name: type_ for name, _, type_ in lines}
    return columns | {listed[2]: listed[3]}
