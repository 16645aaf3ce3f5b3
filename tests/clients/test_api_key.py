"""EMBED_API_KEY by reference, against moto's Secrets Manager and Parameter Store on the loopback interface."""

from __future__ import annotations

import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import boto3

from tests.clients.harness import BINARY, Server, environment

REGION = "eu-north-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION}


class ApiKey(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        moto = Path(sys.executable).parent / "moto_server"
        command = [moto, "-H", "127.0.0.1", "-p", "0"]
        cls.moto = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        cls.addClassCleanup(cls.stop_moto)
        for line in cls.moto.stderr:
            if "Running on http://" in line:
                cls.endpoint = line.split("Running on ")[1].split()[0]
                break
        else:
            raise RuntimeError("moto did not start")
        secrets, parameters = cls.client("secretsmanager"), cls.client("ssm")
        cls.secret = secrets.create_secret(Name="embed/key", SecretString="open-sesame")["ARN"]
        cls.object = secrets.create_secret(Name="embed/object", SecretString='{"token": "open-sesame"}')["ARN"]
        parameters.put_parameter(Name="/embed/key", Value="open-sesame\n", Type="SecureString")

    @classmethod
    def stop_moto(cls) -> None:
        cls.moto.kill()
        cls.moto.communicate(timeout=10)

    @classmethod
    def client(cls, service: str):
        return boto3.client(
            service,
            endpoint_url=cls.endpoint,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def status(self, url: str, token: str) -> int:
        request = urllib.request.Request(url + "/info", headers={"authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def test_every_kind_of_reference_leads_to_the_token(self) -> None:
        parameter = f"arn:aws:ssm:{REGION}:123456789012:parameter/embed/key"
        for reference in (self.secret, f"{self.object}:token", "ssm:/embed/key", parameter):
            with self.subTest(reference):
                variables = {"EMBED_API_KEY": reference, "AWS_ENDPOINT_URL": self.endpoint, **CREDENTIALS}
                with Server(**variables) as server:
                    self.assertEqual(self.status(server.url, "open-sesame"), 200)
                    self.assertEqual(self.status(server.url, "guess"), 401)
                    self.assertEqual(self.status(server.url, reference), 401)

    def test_a_reference_that_leads_nowhere_stops_the_start_with_a_message(self) -> None:
        for reference in (self.secret[:-2] + "zz", "ssm:/embed/other", f"{self.object}:other"):
            with self.subTest(reference):
                error = self.failed_start(EMBED_API_KEY=reference, AWS_ENDPOINT_URL=self.endpoint, **CREDENTIALS)
                self.assertIn("EMBED_API_KEY refers to", error)
                self.assertNotIn("open-sesame", error)

    def test_a_service_that_does_not_answer_stops_the_start_in_time(self) -> None:
        started = time.monotonic()
        unreachable = {"EMBED_API_KEY": "ssm:/embed/key", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", **CREDENTIALS}
        error = self.failed_start(**unreachable)
        self.assertIn("ssm:GetParameter", error)
        self.assertLess(time.monotonic() - started, 9)

    def failed_start(self, **variables: str) -> str:
        command = [BINARY, "serve", "--port", "0"]
        done = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr


if __name__ == "__main__":
    unittest.main()
