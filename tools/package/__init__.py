"""The package that is uploaded to AWS: `make package ARCH=x86_64|arm64`, and the folder that `sam build` zips.

    cargo zigbuild (glibc 2.34) -> lay out -> check every library -> zip, licences, SBOM

A package depends only on the sources, the lock files, the model folder and the Rust release, not on the machine's C
library, paths, clock or umask.
"""
