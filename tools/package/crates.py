"""The crates that end up in the binary, from `cargo metadata`, for licences and the SBOM."""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Crate:
    """One linked crate; `checksum` is crates.io's sha256 of its archive, `uses` the ids of what it links."""

    id: str
    name: str
    version: str
    licence: str
    repository: str
    folder: Path
    checksum: str | None
    uses: tuple[str, ...]


def linked(triple: str) -> tuple[Crate, list[Crate]]:
    """The project, and every other crate that is linked for `triple`, by name and version. The workspace's crates are one.

    Other crates' build scripts, procedural macros' own dependencies and tests are not in the binary, so not here either.
    What our own build script takes data from is here, without what it links itself: the data is in the binary.
    """
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", triple]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return select(metadata, _checksums(Path("Cargo.lock")))


def select(metadata: dict, checksums: dict[tuple[str, str], str]) -> tuple[Crate, list[Crate]]:
    """The same from `metadata` in cargo's format."""
    packages = {package["id"]: package for package in metadata["packages"]}
    macros = {id for id, package in packages.items() if any("proc-macro" in t["kind"] for t in package["targets"])}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

    def dependencies(id: str, asked: str | None) -> list[str]:
        links = nodes[id]["deps"]
        named = [link["pkg"] for link in links if any(kind["kind"] == asked for kind in link["dep_kinds"])]
        return sorted(set(named) - macros)

    uses = {id: dependencies(id, None) for id in nodes}
    root = metadata["resolve"]["root"]
    reached, waiting = {root}, [root]
    while waiting:
        fresh = [id for id in uses[waiting.pop()] if id not in reached]
        reached.update(fresh)
        waiting.extend(fresh)
    for id in sorted(set(dependencies(root, "build")) - reached):
        uses[root].append(id)
        uses[id] = []
        reached.add(id)

    def crate(id: str) -> Crate:
        package = packages[id]
        name, version = package["name"], package["version"]
        return Crate(
            id=id,
            name=name,
            version=version,
            # Old manifests write a slash for OR.
            licence=(package["license"] or "").replace("/", " OR ").replace("  ", " "),
            repository=package["repository"] or "",
            folder=Path(package["manifest_path"]).parent,
            checksum=checksums.get((name, version)),
            uses=tuple(uses[id]),
        )

    # Of another project's crate on crates.io one of these may have the name.
    own = {id for id in reached if packages[id]["source"] is None}
    uses[root] = sorted({used for id in own for used in uses[id]} - own)
    others = sorted((crate(id) for id in reached - own), key=lambda c: (c.name, c.version))
    return crate(root), others


def _checksums(lock: Path) -> dict[tuple[str, str], str]:
    packages = tomllib.loads(lock.read_text())["package"]
    return {(p["name"], p["version"]): p["checksum"] for p in packages if "checksum" in p}
