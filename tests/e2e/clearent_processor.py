"""The Clearent simulator as a test meets it: started, spoken to, scripted, stopped.
It speaks plain http.client/ssl, nothing of the suite, so that a bug of ours can't hide one of
the simulator's."""

import http.client
import json
import os
import ssl
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = os.environ.get("CLEARENT_SIM", str(ROOT / "build" / "release" / "clearent-sim"))
VISA, VISA_2 = "4111111111111111", "4242424242424242"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)
    return folder


class Processor:
    """One simulator and the words a test needs to speak to it."""

    def __init__(self, certificate, folder):
        self.certificate, self.folder = certificate, folder
        (folder / "accounts").write_text(
            "key-one 11110001 650000\nkey-two 11110002 650000\nkey-alien 22220001 990000\n")
        self.tls = ssl.create_default_context(cafile=certificate / "cert.pem")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [SIMULATOR, "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
             "--cert", self.certificate / "cert.pem", "--key", self.certificate / "key.pem",
             "--ledger", self.folder / "ledger", "--accounts", self.folder / "accounts"],
            stdout=subprocess.PIPE, text=True)
        ports = dict(self.process.stdout.readline().split() for _ in range(2))
        self.port, self.control_port = int(ports["listening"]), int(ports["control"])

    def stop(self, kill=False):
        self.process.kill() if kill else self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def connect(self, timeout=5):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls,
                                           timeout=timeout)

    def raw(self, method, path, body=None, headers=None, timeout=5, key="key-one"):
        """(status, headers, bytes) on a fresh connection."""
        sent = {"api-key": key, "Accept": "application/json"}
        if body is not None:
            sent["Content-Type"] = "application/json"
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        sent.update(headers or {})
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body,
                               {k: v for k, v in sent.items() if v is not None})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def call(self, method, path, body=None, **more):
        status, _, data = self.raw(method, path, body, **more)
        return status, json.loads(data.decode()) if data else None

    def post(self, kind, body, **more):
        full = {"type": kind.upper(), "software-type": "Test", "software-type-version": "1"}
        full.update(body)
        full = {k: v for k, v in full.items() if v is not None}
        return self.call("POST", f"/rest/v2/transactions/{kind}", full, **more)

    def sale(self, ref="REF1", amount="80.00", card=VISA, kind="sale", key="key-one", **more):
        body = {"amount": amount, "card": card, "exp-date": "1235", "csc": "999", "invoice": ref,
                "order-id": ref}
        body.update({k.replace("_", "-"): v for k, v in more.items()})
        return self.post(kind, body, key=key)

    def search(self, key="key-one", **parameters):
        names = {k.replace("_", "-") if k != "isDescending" else k: v
                 for k, v in parameters.items()}
        return self.call("GET", "/rest/v2/transactions?" + urlencode(names), key=key)

    def found(self, **parameters):
        status, answer = self.search(**parameters)
        assert status == 200, answer
        return answer["payload"]["transactions"]["transaction"]

    def control(self, method, path, body=None, expect=200):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=10)
        connection.request(method, "/_sim/" + path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        data = json.loads(answer.read())
        connection.close()
        assert answer.status == expect, data
        return data

    def fault(self, name, op="any", **more):
        match = {k: more.pop(k) for k in ("ref", "card_last_four", "amount", "nth", "count")
                 if k in more}
        return self.control("POST", "faults", {"op": op, "fault": name, "match": match, **more})

    def settings(self, **changed):
        return self.control("POST", "settings", changed)

    def executed(self, ref=None):
        return self.control("GET", "ledger" + (f"?ref={ref}" if ref else ""))["rows"]


@pytest.fixture
def processor(certificate, tmp_path):
    started = Processor(certificate, tmp_path)
    yield started
    started.stop()
    assert started.process.returncode == 0, "the simulator did not end in order"


def transaction(answer):
    return answer["payload"]["transaction"]


def code(answer):
    return int(answer["payload"]["error"]["result-code"])
