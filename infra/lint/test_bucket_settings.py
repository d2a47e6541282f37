"""Every row of the table of bucket settings has a test, every test a row, and each proves the code that the row names.

A comment `Row: …` before a test, or before a case of one, names the row by its first cell. A † in that cell says that only tests of
requests and of documented answers prove the row, none with such a bucket.
"""

from __future__ import annotations

import re

from infra.lint.test_documents import ROOT, files

PAGE = ROOT / "docs" / "BUCKETS.md"
HEADING = "\n## Settings of the bucket\n"
MARK = re.compile(r"^ *(?://|#) Row: (.+)$", re.MULTILINE)
# The end of a function: its brace in Rust; in Python two blank lines.
END = re.compile(r"^ *\}\n\n|\n\n\n", re.MULTILINE)
ARGUED = " †"
# The crate with the tests of requests and answers.
REQUESTS = ROOT / "shared" / "aws-adapters"
CODE = re.compile(r"`([A-Z]+(?:_[A-Z]+)+)`")


def rows_of(page: str) -> dict[str, str]:
    """Returns the other cells of each row of the section's table, by its first cell."""
    section = page.partition(HEADING)[2].partition("\n## ")[0]
    _, *lines = re.findall(r"^\| (.+) \|$", section, re.MULTILINE)
    cells = [line.partition(" | ") for line in lines]
    assert len({name for name, _, _ in cells}) == len(cells), "two rows have the same name"
    return {name: rest for name, _, rest in cells}


def marks_of(sources: list[str]) -> dict[str, list[str]]:
    """Returns the texts of the tests of each row, by the name of the row."""
    marks: dict[str, list[str]] = {}
    for text in sources:
        for mark in MARK.finditer(text):
            end = END.search(text, mark.end())
            marks.setdefault(mark[1], []).append(text[mark.end() : end.start() if end else None])
    return marks


def unproven_codes(rows: dict[str, str], marks: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Returns the codes of rows that none of their tests names, as they are written in Python or in Rust."""

    def letters(text: str) -> str:
        return text.replace("_", "").lower()

    return [
        (name, code)
        for name, cells in rows.items()
        for code in CODE.findall(cells)
        if not any(letters(code) in letters(test) for test in marks.get(name, []))
    ]


def test_every_setting_of_a_bucket_has_a_row_and_a_test_of_its_code() -> None:
    cells = rows_of(PAGE.read_text())
    rows = {name.removesuffix(ARGUED): rest for name, rest in cells.items()}
    sources = [path for path in files(".rs", ".py") if path.parent != ROOT / "infra" / "lint"]
    marks = marks_of([path.read_text() for path in sources])
    assert len(rows) > 30
    assert set(rows) == set(marks)
    assert unproven_codes(rows, marks) == []
    set_in_tests = marks_of([path.read_text() for path in sources if not path.is_relative_to(REQUESTS)])
    assert {name.removesuffix(ARGUED) for name in cells if name.endswith(ARGUED)} == set(rows) - set(set_in_tests)


def test_rows_and_tests_that_do_not_match_are_found() -> None:
    page = f"{HEADING}\n| Setting | Export | Do |\n|---|---|---|\n| a | `WRITE_DENIED` | - |\n| b | `KMS_DENIED` | - |\n\n## C\n"
    rust = "// Row: a\n#[test]\nfn one() {\n    ConnectionFailure::WriteDenied\n}\n\nfn two() { KmsDenied }\n"
    python = '# Row: b\ndef test() -> None:\n    "WRITE_DENIED"\n\n\nKMS_DENIED = 1\n'
    rows, marks = rows_of(page), marks_of([rust, python])
    assert list(rows) == list(marks) == ["a", "b"]
    assert unproven_codes(rows, marks) == [("b", "KMS_DENIED")]
