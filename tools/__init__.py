"""Build-time Python: fetch a model, export it to ONNX, quantize it, verify it.

Nothing here runs in the function. Each module is a step and most are commands:
`python -m tools.build bge-small-en-v1.5` from the repository root runs them all.

    sources -> fetch -> weights -> graph + quantize + operators -> ortformat -> verify -> manifest -> models/<id>/
                                   everything is compared with reference (plain numpy)

`runtime`, `emulator`, `fetch`, `sources`, `wheel` and `integrity` need the standard library
and pip alone, so that they work before `requirements.txt` is installed.
"""

import os

# One BLAS thread: matrices are small here, so more threads gain only a tenth; beside another busy process they spin
# for many times the work. Has to be set before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# By default ONNX Runtime's Linux wheels from 1.29 on report usage to their maker: they write a device id and a database
# below ~/.cache, and upload. A build tool must not do that. Has to be set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
