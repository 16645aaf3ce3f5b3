"""Build-time Python: fetch a model, export it to ONNX, quantize it, verify it.

Nothing here runs in the function. Each module is a step and most are commands:
`python -m tools.build bge-small-en-v1.5` from the repository root runs them all.

    sources -> fetch -> weights -> graph + quantize -> verify -> manifest -> models/<id>/
                                   reference (plain numpy) is what everything is compared with

`runtime`, `emulator`, `fetch`, `sources`, `wheel` and `integrity` need the standard library
and pip alone, so that they work before `requirements.txt` is installed.
"""

import os

# One BLAS thread: matrices are small here, more threads gain a tenth and, beside another busy process,
# spin for many times the work. Has to be set before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
