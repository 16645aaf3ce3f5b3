"""The user's Docker engine, or one that tests start.

`sam local` and its tests need an engine. `answers` tells whether the user's answers; `Engine` starts one as root for
as long as a test runs, with its images and sockets in a folder of its own, and ends it by its process id.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path


def answers(environment: dict[str, str] | None = None) -> bool:
    """Whether `docker info` reaches an engine, by DOCKER_HOST or the usual socket."""
    if not shutil.which("docker"):
        return False
    command = ["docker", "info", "--format", "{{.ServerVersion}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return found.returncode == 0 and bool(found.stdout.strip())


class Engine:
    """A `dockerd` that this starts; `environment` points clients at it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lambda-embed-docker-"))
        socket = f"unix://{self.folder}/docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": socket}
        command = ["dockerd", "--data-root", f"{self.folder}/root", "--exec-root", f"{self.folder}/exec"]
        command += ["--pidfile", f"{self.folder}/pid", "--host", socket]
        # The proxy accepts connections before the container listens, and drops them; SAM takes that for a dead
            # function. Without the proxy a connection is refused until the container listens, and SAM waits for that.
        command += ["--userland-proxy=false"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not answers(self.environment):
            if self.process.poll() is not None or time.monotonic() > deadline:
                last = (self.folder / "log").read_text(errors="replace").splitlines()[-3:]
                self.stop()
                raise RuntimeError("dockerd did not start: " + " ".join(last))
            time.sleep(0.2)

    @staticmethod
    def startable() -> bool:
        return os.geteuid() == 0 and shutil.which("dockerd") is not None

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
