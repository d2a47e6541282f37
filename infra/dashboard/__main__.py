"""Writes the dashboard into template.yaml, records metrics of the local stack, and draws a picture of the dashboard.

Usage: python -m infra.dashboard [record]
"""

from __future__ import annotations

import re
import sys

from infra.dashboard import layout, picture, recording
from infra.dashboard.source import TEMPLATE_FILE, Template
from infra.dashboard.widgets import dashboard_body
from infra.local.stack import Stack

# The body in template.yaml: the lines between two that stay.
_BODY = re.compile(r"(?<=\n        Fn::Sub:\n          - \|\n).*?(?=          - LagAlarmSeconds:)", re.DOTALL)
_INDENTATION = " " * 12


def in_template(text: str, body: str) -> str:
    """Returns the text of template.yaml with this body of the dashboard."""
    lines = "".join(f"{_INDENTATION}{line}\n" for line in body.splitlines())
    changed, count = _BODY.subn(lambda _: lines, text)
    if count != 1:
        raise ValueError(f"{TEMPLATE_FILE.name} has {count} places for the body of the dashboard, not 1")
    return changed


def main(arguments: list[str]) -> None:
    rows = layout.layout(Template.load())
    if arguments == ["record"]:
        recording.RECORDING_FILE.write_text(recording.record(Stack.load(), rows).to_json())
    elif arguments:
        raise SystemExit(__doc__)
    TEMPLATE_FILE.write_text(in_template(TEMPLATE_FILE.read_text(), dashboard_body(rows, layout.START)))
    picture.PICTURE_FILE.parent.mkdir(exist_ok=True)
    picture.PICTURE_FILE.write_text(picture.draw(rows, recording.Recording.load()))


if __name__ == "__main__":
    main(sys.argv[1:])
