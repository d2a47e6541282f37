"""docs/LIMITS.md names constants that exist, with the values that they have."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from infra.lint.template import RESOURCES
from infra.lint.test_documents import ROOT, SERVICE, files

if TYPE_CHECKING:
    from collections.abc import Iterator

# A constant, and the crate that the document names for it: `MAX_BODY_LENGTH` of `domain::event`, or of the api.
NAMED_LIMIT = re.compile(r"`([A-Z]+(?:_[A-Z]+)+)`(?: of (?:the ([a-z-]+)|`([a-z-]+)))?")


def sources_of_crates() -> Iterator[tuple[str, str]]:
    """The sources of the service and of the operator's program, each with the name of its crate."""
    for path in files(".rs"):
        folder, crate, *_ = path.relative_to(ROOT).parts
        is_test = path.stem == "tests" or "tests" in path.parts
        if not is_test and (folder in SERVICE or (folder, crate) == ("cli", "operator")):
            yield crate, path.read_text()


def crates_of_constants() -> dict[str, set[str]]:
    crates: defaultdict[str, set[str]] = defaultdict(set)
    for crate, source in sources_of_crates():
        for name in re.findall(r"\bconst (\w+):", source):
            crates[name].add(crate)
    return crates


def wrong_limits(text: str, crates: dict[str, set[str]]) -> list[str]:
    """The constants that no crate defines, or that several of the service define and the text names none of them."""
    wrong = []
    for name, function, crate in NAMED_LIMIT.findall(text):
        defined = crates.get(name, set())
        named = {function or crate} if function or crate else defined - {"operator"}
        if len(named) != 1 or not named <= defined:
            wrong.append(name)
    return wrong


def test_constants_that_the_limits_name_are_defined_in_their_crate() -> None:
    text = (ROOT / "docs" / "LIMITS.md").read_text()
    assert len(NAMED_LIMIT.findall(text)) > 50
    assert wrong_limits(text, crates_of_constants()) == []


UNITS = {
    "ms": 0.001, "s": 1, "min": 60, "h": 3600, "days": 86_400, "bytes": 1, "characters": 1, "kB": 1000, "MB": 1_000_000,
    "KiB": 1 << 10, "MiB": 1 << 20, "%": 1, "": 1,
}  # fmt: skip
DURATIONS = {"millis": 0.001, "secs": 1, "mins": 60, "hours": 3600}
CONSTANT = re.compile(r"const ([A-Z][A-Z0-9_]*): [^=]+ = ([^;]+);")
DURATION = re.compile(r"Duration::from_(\w+)\(([\d_ *]+)\)")


def values_of_limit(text: str) -> set[float]:
    """The values that a row has, such as those of `3.5 MiB, 10 of each`: seconds, bytes or numbers."""
    found = re.findall(r"(?<![\d:.])(\d[\d,]*(?:\.\d+)?)(?: ?([a-zA-Z]+|%))?(?!\d|:\d)", text)
    return {float(number.replace(",", "")) * UNITS.get(unit, 1) for number, unit in found}


def value_of_constant(expression: str) -> float | None:
    """The value of a constant that is a duration or made of numbers; `None` for any other."""
    duration = DURATION.fullmatch(expression)
    numbers = duration[2] if duration else re.sub(r"^(?:NonZero\w+::new|[a-z_]+)\(|\)$", "", expression)
    factors = [factor.strip().replace("_", "") for factor in numbers.split("*")]
    if not all(factor.isdecimal() for factor in factors) or (duration and duration[1] not in DURATIONS):
        return None
    return math.prod(map(float, factors)) * (DURATIONS[duration[1]] if duration else 1)


def differing_limits(text: str, constants: dict[tuple[str, str], set[float]]) -> tuple[int, list[str]]:
    """The number of rows that could be compared with their one constant, and those that don't have its value."""
    compared, differing = 0, []
    for row in re.findall(r"^\| (.+) \|$", text, re.MULTILINE):
        bound, _, rest = row.partition(" | ")
        named = NAMED_LIMIT.findall(rest)
        if len(named) != 1:
            continue
        name, function, crate = named[0]
        owner = function or crate
        values = {
            value
            for (of, constant), defined in constants.items()
            if constant == name and owner in {"", of}
            for value in defined
        }
        if values:
            compared += 1
            if not any(math.isclose(value, known) for value in values_of_limit(rest) for known in values):
                differing.append(f"{bound} | {rest}, but the constant is {sorted(values)}")
    return compared, differing


def values_of_constants() -> dict[tuple[str, str], set[float]]:
    constants: defaultdict[tuple[str, str], set[float]] = defaultdict(set)
    for crate, source in sources_of_crates():
        for name, expression in CONSTANT.findall(source):
            value = value_of_constant(expression)
            if value is not None:
                constants[crate, name].add(value)
    return constants


def several_values(text: str, constants: dict[tuple[str, str], set[float]]) -> list[str]:
    """The constants of a text whose name has several values in one crate, so that a row could have either."""
    named = {(name, function or crate) for name, function, crate in NAMED_LIMIT.findall(text)}
    return sorted(
        f"{name} of {of}"
        for (of, name), values in constants.items()
        if len(values) > 1 and {(name, ""), (name, of)} & named
    )


def test_a_limit_has_one_value_in_its_crate() -> None:
    text = (ROOT / "docs" / "LIMITS.md").read_text()
    assert several_values(text, values_of_constants()) == []
    constants = {("api", "MAX_BODY"): {64.0, 4.0}, ("domain", "MAX_KEY"): {1.0}, ("ingest", "MAX_KEY"): {1.0, 2.0}}
    assert several_values("`MAX_BODY`, `MAX_KEY` of `domain`", constants) == ["MAX_BODY of api"]
    assert several_values("`MAX_KEY` of the ingest", constants) == ["MAX_KEY of ingest"]


def test_limits_have_the_values_of_their_constants() -> None:
    constants = values_of_constants()
    compared, differing = differing_limits((ROOT / "docs" / "LIMITS.md").read_text(), constants)
    assert differing == []
    assert compared > 80


def test_deleted_configurations_are_left_alone_for_longer_than_a_run_takes() -> None:
    source = (ROOT / "functions" / "housekeeper" / "src" / "settings.rs").read_text()
    rest = dict(CONSTANT.findall(source))["DELETION_REST"]
    longest = max(RESOURCES[name]["Properties"]["Timeout"] for name in ("ExporterFunction", "ConverterFunction"))
    assert f"at most {longest // 60} minutes" in source
    assert (value_of_constant(rest) or 0) >= 2 * longest


def test_a_limit_with_another_value_is_found() -> None:
    constants = {("api", "MAX_BODY"): {64 * 1024.0}, ("domain", "LONGEST_PAUSE"): {150.0}}
    rows = "| body | {} | `MAX_BODY` |\n| pause | 1 s, at most {} | `LONGEST_PAUSE` of `domain` |\n"
    assert differing_limits(rows.format("64 KiB", "2.5 min"), constants) == (2, [])
    compared, differing = differing_limits(rows.format("60 KiB", "2 min"), constants)
    assert (compared, len(differing)) == (2, 2)
    assert value_of_constant("Duration::from_mins(8)") == 480
    assert value_of_constant("7 * 512 * 1024") == 3.5 * (1 << 20)
    assert value_of_constant("OTHER * 2") is None


def test_a_stale_or_ambiguous_limit_is_found() -> None:
    crates = {"MAX_BODY": {"api", "domain"}, "MAX_KEYS": {"authentication"}}
    assert wrong_limits("`MAX_BODY` of the api, `MAX_BODY` of `domain::event`, `MAX_KEYS`", crates) == []
    assert wrong_limits("`MAX_BODY`, `MAX_BODY` of the ingest, `MAX_GONE`", crates) == [
        "MAX_BODY",
        "MAX_BODY",
        "MAX_GONE",
    ]
