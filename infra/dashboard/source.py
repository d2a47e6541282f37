"""template.yaml as the source of the dashboard's metrics and thresholds, so that neither is written twice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.dashboard.widgets import Metric, Threshold
from infra.local.settings import ROOT

TEMPLATE_FILE = ROOT / "template.yaml"


@dataclass(frozen=True)
class Template:
    """The resources of template.yaml, by logical ID."""

    resources: dict[str, Any]

    @classmethod
    def load(cls) -> Template:
        return cls(yaml_parse(TEMPLATE_FILE.read_text())["Resources"])

    def properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def of_type(self, kind: str) -> list[str]:
        return [name for name, resource in self.resources.items() if resource["Type"] == kind]

    def alarms(self, ending: str) -> tuple[str, ...]:
        """Returns the alarms whose logical IDs end with a pattern."""
        return tuple(name for name in self.of_type("AWS::CloudWatch::Alarm") if re.search(f"{ending}$", name))

    def alarm_metric(self, alarm: str, label: str, identifier: str = "") -> Metric:
        """Returns the metric of an alarm, with the alarm's statistic and period."""
        properties = self.properties(alarm)
        return Metric(
            namespace=substitution(properties["Namespace"]),
            name=properties["MetricName"],
            dimensions=tuple(
                (dimension["Name"], substitution(dimension["Value"])) for dimension in properties.get("Dimensions", [])
            ),
            statistic=properties["Statistic"],
            period=properties["Period"],
            label=label,
            identifier=identifier,
        )

    def thresholds(self, alarms: list[str]) -> tuple[Threshold, ...]:
        """Returns the distinct thresholds of alarms, each labelled with its alarms. Alarms on low values have none."""
        by_value: dict[str, list[str]] = {}
        for alarm in alarms:
            properties = self.properties(alarm)
            if properties["ComparisonOperator"] == "GreaterThanOrEqualToThreshold":
                by_value.setdefault(_number(properties["Threshold"]), []).append(alarm)
        return tuple(Threshold(_label(names), value) for value, names in by_value.items())

    def thresholds_in_percent(self, ending: str) -> tuple[Threshold, ...]:
        """Returns the distinct thresholds of alarms on durations, in percent of the functions' time-outs."""
        percents = {
            self.properties(alarm)["Threshold"] / self.properties(alarm.removesuffix("DurationAlarm"))["Timeout"] / 10
            for alarm in self.alarms(ending)
        }
        return tuple(Threshold(f"…{ending}", f"{percent:g}") for percent in sorted(percents))

    def own_metric(self, name: str, label: str, statistic: str, period: int) -> Metric:
        """Returns a metric of one of the stack's filters on log lines. Raises ValueError if there is no such filter."""
        transformations = [
            transformation
            for metric_filter in self.of_type("AWS::Logs::MetricFilter")
            for transformation in self.properties(metric_filter)["MetricTransformations"]
        ]
        for transformation in transformations:
            if transformation["MetricName"] == name:
                return Metric(substitution(transformation["MetricNamespace"]), name, (), statistic, period, label)
        raise ValueError(f"no metric filter makes {name}")


def substitution(value: Any) -> str:
    """Returns the text that Fn::Sub replaces with a value of the template."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::Sub":
        return str(argument)
    name = argument if isinstance(argument, str) else ".".join(argument)
    return f"${{{name}}}"


def _number(value: Any) -> str:
    """Returns a threshold as JSON; of a mapping, the variable of Fn::Sub with the mapping's name."""
    return f"${{{value['Fn::FindInMap'][0]}}}" if isinstance(value, dict) else str(value)


def _label(alarms: list[str]) -> str:
    """Returns the alarms' common name: of several, the part that they share."""
    if len(alarms) == 1:
        return alarms[0]
    endings = {"".join(re.findall(r"[A-Z][a-z0-9]*", alarm)[-2:]) for alarm in alarms}
    return f"…{endings.pop()}" if len(endings) == 1 else f"{len(alarms)} alarms"
