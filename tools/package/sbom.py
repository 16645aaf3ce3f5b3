"""The software bill of materials: CycloneDX 1.6 JSON, made and schema-checked with CycloneDX's own library.

cargo-cyclonedx would know only the crates, and take minutes to compile; a package also has ONNX Runtime's library and a
model's weights. Equal packages get equal files: they have no time, and a serial number computed from the listing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tools.integrity import sha256_of
from tools.package.binary import rust_release
from tools.package.crates import Crate
from tools.pdfium import BUILD as PDFIUM
from tools.pdfium import VERSION as PYPDFIUM2
from tools.runtime import VERSION as ONNX_RUNTIME

# The namespace of the serial numbers, which are version 5 UUIDs of the listing's text.
NAMESPACE = uuid.UUID("a6a8a2a4-59a5-5bb4-8d6e-6f8a3f0a1c52")


class InvalidSbom(Exception):
    """The document breaks CycloneDX's schema; the message says where."""


def sbom(root: Crate, crates: Sequence[Crate], arch: str, bootstrap: Path, library: Path, pdfium: Path | None, model: Path | None) -> str:
    """The document's text. Raises InvalidSbom."""
    main = Component(
        type=ComponentType.APPLICATION,
        name=root.name,
        version=root.version,
        bom_ref=f"pkg:cargo/{root.name}@{root.version}",
        purl=PackageURL("cargo", name=root.name, version=root.version),
        licenses=[LicenseExpression(root.licence)],
        hashes=[_sha256(bootstrap)],
        properties=[Property(name="architecture", value=arch)],
    )
    bom = Bom()
    bom.metadata.component = main
    bom.metadata.timestamp = None
    components = {crate.id: _crate(crate) for crate in crates}
    extra = [_rust(), _library(library)] + ([_pdfium(pdfium)] if pdfium else [])
    extra += [_model(model)] if model else []
    for component in [*components.values(), *extra]:
        bom.components.add(component)
    for crate in crates:
        bom.register_dependency(components[crate.id], [components[used] for used in crate.uses])
    bom.register_dependency(main, [*(components[used] for used in root.uses), *extra])
    return _render(bom)


def _crate(crate: Crate) -> Component:
    purl = PackageURL("cargo", name=crate.name, version=crate.version)
    checksum = [HashType(alg=HashAlgorithm.SHA_256, content=crate.checksum)] if crate.checksum else []
    return Component(
        type=ComponentType.LIBRARY,
        name=crate.name,
        version=crate.version,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseExpression(crate.licence)],
        hashes=checksum,
    )


def _rust() -> Component:
    version = rust_release()
    return Component(
        type=ComponentType.LIBRARY,
        name="rust-std",
        version=version,
        bom_ref=f"rust-std@{version}",
        licenses=[LicenseExpression("MIT OR Apache-2.0")],
    )


def _library(library: Path) -> Component:
    purl = PackageURL("pypi", name="onnxruntime", version=ONNX_RUNTIME)
    return Component(
        type=ComponentType.LIBRARY,
        name="onnxruntime",
        version=ONNX_RUNTIME,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseExpression("MIT")],
        hashes=[_sha256(library)],
    )


def _pdfium(library: Path) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name="pdfium",
        version=PDFIUM,
        bom_ref=f"pkg:generic/pdfium@{PDFIUM}",
        purl=PackageURL("pypi", name="pypdfium2", version=PYPDFIUM2),
        licenses=[LicenseExpression("BSD-3-Clause AND Apache-2.0")],
        hashes=[_sha256(library)],
    )


def _model(folder: Path) -> Component:
    manifest = json.loads((folder / "manifest.json").read_text())
    graph = folder / manifest["files"]["model"]["path"]
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=manifest["name"],
        version=manifest["revision"],
        bom_ref=f"model:{manifest['id']}@{manifest['revision']}",
        licenses=[LicenseExpression(manifest["license"])],
        hashes=[_sha256(graph)],
    )


def _sha256(path: Path) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256_of(path))


def _render(bom: Bom) -> str:
    def text() -> str:
        return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)

    fixed = uuid.UUID(int=0)
    bom.serial_number = fixed
    bom.serial_number = uuid.uuid5(NAMESPACE, text())
    written = text()
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        raise InvalidSbom(str(fault.data))
    return written + "\n"
