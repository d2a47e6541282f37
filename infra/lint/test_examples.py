"""docs/PRODUCERS.md shows the files of examples/, which tests run, and states figures of docs/COST.md."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

from tests.e2e.examples import EXAMPLES, SENDERS
from tests.e2e.guide import PRODUCERS, read_blocks

ROOT = Path(__file__).parents[2]


def test_the_page_shows_every_example_as_it_is() -> None:
    shown = {tag: block.text for block in read_blocks(PRODUCERS, "example") for tag in block.tags}
    assert shown == {path.name: path.read_text() for path in EXAMPLES.iterdir()}


def test_every_example_is_run_by_an_end_to_end_test() -> None:
    tests = (ROOT / "tests" / "e2e" / "test_producers.py").read_text()
    run = {*SENDERS, *re.findall(r'EXAMPLES / "([^"]+)"', tests)}
    assert {path.name for path in EXAMPLES.iterdir()} == run


def test_every_command_of_the_page_is_run_by_an_end_to_end_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "e2e").glob("test_*.py"))
    blocks = [block for block in read_blocks(PRODUCERS, "producers") if not block.language]
    assert [block.line for block in blocks if not block.tags] == []
    tags = {tag for block in blocks for tag in block.tags}
    assert {tag for tag in tags if f'commands("{tag}")' not in tests} == set()


def test_the_crates_of_the_rust_example_are_those_with_which_it_is_built() -> None:
    built = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["dependencies"]
    [block] = [block for block in read_blocks(PRODUCERS, "rust") if block.tags]
    added: set[str] = set()
    for words in map(str.split, block.text.splitlines()):
        assert words[:2] == ["cargo", "add"]
        features = words[words.index("--features") + 1].split(",") if "--features" in words else []
        for name, version in (word.split("@") for word in words if "@" in word):
            used = built[name] if isinstance(built[name], dict) else {"version": built[name]}
            assert version == used["version"], name
            assert set(features) <= set(used.get("features", [])), name
            assert ("--no-default-features" in words) == (not used.get("default-features", True)), name
            added.add(name)
    listed = re.search(r"^//! With the crates (.*)\.$", (EXAMPLES / "send_events.rs").read_text(), re.MULTILINE)
    assert listed
    assert added == set(re.split(", | and ", listed[1]))


def test_the_configuration_of_the_collector_is_consistent() -> None:
    """No collector can be installed here: this finds names that lead nowhere, and bounds that the service does not have."""
    [block] = [block for block in read_blocks(PRODUCERS, "collector") if block.tags]
    configuration = yaml_parse(block.text)
    assert set(configuration["service"]["extensions"]) == set(configuration["extensions"])
    [pipeline] = configuration["service"]["pipelines"].values()
    assert pipeline == {"receivers": [*configuration["receivers"]], "exporters": [*configuration["exporters"]]}
    [exporter] = configuration["exporters"].values()
    assert exporter["logs_endpoint"].endswith("/v1/logs")
    assert exporter["auth"]["authenticator"] in configuration["extensions"]
    assert exporter["retry_on_failure"] == {"max_elapsed_time": 0}
    queue = exporter["sending_queue"]
    assert queue["storage"] in configuration["extensions"]
    assert queue["block_on_overflow"] is True
    assert queue["batch"]["min_size"] <= queue["batch"]["max_size"] <= 1_000


def test_the_dollars_are_those_of_the_cost_model() -> None:
    section = PRODUCERS.read_text().partition("\n## Cost\n")[2]
    figures = re.findall(r"\| (\$[0-9.]+) \|", section)
    assert len(figures) == 5
    costs = (ROOT / "docs" / "COST.md").read_text()
    assert [figure for figure in figures if f"| {figure} |" not in costs] == []
