"""A complete export, from the tests of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.local.settings import ROOT
from tests.page.answers import ID

CORPUS = ROOT / "target" / "tmp" / "verification-corpus.json"


def write_export(folder: Path, case_name: str = "nothing, of unknown origin;") -> None:
    """Writes `key.pem`, and the files of an export into a folder of its ID."""
    assert CORPUS.exists(), "run `cargo test --test tampering` first: it writes the exports"
    corpus: dict[str, Any] = json.loads(CORPUS.read_text())
    case = next(case for case in corpus["cases"] if case["name"].startswith(case_name))
    (folder / "key.pem").write_text(case["keys"][0])
    for name, digest in case["files"].items():
        path = folder / ID / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(corpus["bytes"][digest].encode("latin-1"))
