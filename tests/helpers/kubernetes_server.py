"""A stand-in for Kubernetes' API server on loopback: it records jobs, and runs them if it is to."""

import json
import re
import shlex
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml


class Cluster(ThreadingHTTPServer):
    """The server; `jobs` are the manifests posted so far by their names."""

    def __init__(self, folder: Path, run=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.run = folder, run
        self.jobs, self.codes, self.deleted = {}, {}, []

    def config(self) -> Path:
        """Write a configuration for Kubernetes' clients that leads here."""
        server = f"http://127.0.0.1:{self.server_address[1]}"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": server}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        path = self.folder / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def take(self, manifest: dict) -> None:
        """Take a job, and run it like a pod: in an empty folder of its own."""
        name = manifest["metadata"]["name"]
        self.jobs[name] = manifest
        threading.Thread(target=self._work, args=(name,), daemon=True).start()

    def _work(self, name: str) -> None:
        (container,) = self.jobs[name]["spec"]["template"]["spec"]["containers"]
        place = self.folder / "pods" / name
        place.mkdir(parents=True)
        with open(place.with_suffix(".log"), "w") as log:
            command = [*container["command"], *container["args"]]
            self.codes[name] = self.run(command, place, log) if self.run else 0


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _answer(self, content: dict, code: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> dict:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def do_POST(self):
        body = self._body()
        if self.path.endswith("/jobs"):
            self.server.take(body)
        self._answer(body, 201)

    def do_GET(self):
        if found := re.search(r"/jobs/([^/]+)/status$", self.path):
            code = self.server.codes.get(found.group(1))
            message = {} if code is None else {"failed" if code else "succeeded": 1}
            self._answer({"kind": "Job", "status": message})
        else:
            self._answer({"kind": "PodList", "items": []})

    def do_DELETE(self):
        self._body()
        self.server.deleted.append(self.path.split("?")[0])
        self._answer({"kind": "Status", "status": "Success"})


@contextmanager
def cluster(folder: Path, run=None):
    """Start a cluster; `run` takes a command, a folder and a log, and gives an exit code."""
    server = Cluster(folder, run)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def run_as_process(environment: dict):
    """Give a way to run a pod's command as a process of this machine."""

    def run(command, place, log) -> int:
        log.write(shlex.join(command) + "\n")
        log.flush()
        return subprocess.run(
            command, cwd=place, env=environment, stdout=log, stderr=log, timeout=300
        ).returncode

    return run
