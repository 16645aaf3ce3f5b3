"""The template as CloudFormation sees it: transformed by SAM's own translator, conditions evaluated.

CloudFormation's functions that matter to the tests are resolved (`Ref` of a parameter, `Fn::If`, `Fn::FindInMap` and
the conditions); all others stay as they are written, so a resource is recognised by its name.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / ".aws-sam/build/template.yaml"
SOURCE = ROOT / "template.yaml"
NO_VALUE = object()
# Silences its warnings about metrics, which nothing here uses.
logging.getLogger("samtranslator").setLevel(logging.ERROR)


class _NoManagedPolicies:
    """Answers the translator's requests for managed policies; there are none, because every role here is our own."""

    def load(self) -> dict[str, str]:
        return {}


class Template:
    """The resources and outputs for `parameters`, with all other parameters at their defaults."""

    def __init__(self, path: Path = SOURCE, **parameters: Any) -> None:
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        parsed = yaml_parse(path.read_text())
        self.definitions = parsed["Parameters"]
        unknown = set(parameters) - set(self.definitions)
        assert not unknown, f"no such parameter: {unknown}"
        self.parameters = {name: parameters.get(name, d["Default"]) for name, d in self.definitions.items()}
        # The translator needs uploaded code.
        parsed["Globals"]["Function"]["CodeUri"] = "s3://packages/lambda-embed.zip"
        for resource in parsed["Resources"].values():
            resource.get("Properties", {}).pop("CodeUri", None)
        self.whole = transform(parsed, {}, _NoManagedPolicies())
        self.conditions = self.whole["Conditions"]
        resources = self.whole["Resources"]
        self.resources = {name: self.resolve(r) for name, r in resources.items() if self.exists(r)}
        self.outputs = {name: self.resolve(o) for name, o in self.whole["Outputs"].items() if self.exists(o)}

    def exists(self, resource: dict[str, Any]) -> bool:
        return "Condition" not in resource or self.holds({"Condition": resource["Condition"]})

    def of_type(self, type: str) -> dict[str, dict[str, Any]]:
        """Properties of every resource of a type, by its name."""
        return {name: r.get("Properties", {}) for name, r in self.resources.items() if r["Type"] == type}

    def holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self.holds(self.conditions[condition])
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self.holds(self.conditions[argument])
        if function == "Fn::Equals":
            left, right = (self.resolve(side) for side in argument)
            return str(left) == str(right)
        parts = [self.holds(part) for part in argument]
        return {"Fn::Not": lambda: not parts[0], "Fn::And": lambda: all(parts), "Fn::Or": lambda: any(parts)}[function]()

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [found for found in map(self.resolve, value) if found is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref" and argument == "AWS::NoValue":
                return NO_VALUE
            if function == "Ref" and argument in self.parameters:
                given = self.parameters[argument]
                return given.split(",") if "List" in self.definitions[argument]["Type"] else given
            if function == "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self.holds(condition) else otherwise)
            if function == "Fn::FindInMap":
                name, first, second = (self.resolve(part) for part in argument)
                return self.whole["Mappings"][name][str(first)][second]
            if function == "Fn::Join":
                separator, parts = argument
                parts = self.resolve(parts)
                if all(isinstance(part, str) for part in parts):
                    return separator.join(parts)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}
