"""What is uploaded to AWS: `make package ARCH=x86_64|arm64`, and the folder that `sam build` asks for.

    cargo zigbuild (glibc 2.34) -> lay out -> check every library -> zip, licences, SBOM

A package depends on the sources, the lock files, the model folder and the Rust release, and on nothing else:
neither on the machine's C library nor on its paths, clock or umask.
"""
