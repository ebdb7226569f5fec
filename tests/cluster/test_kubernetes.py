"""The profile for Kubernetes, against a stand-in for its API server that runs pods as processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers import kubernetes_server, snakes

CHECK = "results/checks/quick/check.json"
GIT = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "gc.auto=0")

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        not (shutil.which("rsync") and shutil.which("git")),
        reason="the storage on a volume needs rsync, the sources of a job git",
    ),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A git checkout with a small study, and the folder that stands for the volume."""
    top = tmp_path_factory.mktemp("kubernetes")
    home = snakes.house(top / "home")
    (home / "tiny.yaml").write_text(yaml.safe_dump(snakes.STUDY))
    for step in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "study"]):
        subprocess.run([*GIT, *step], cwd=home, check=True)
    (top / "volume").mkdir()
    (top / "bin").mkdir()
    pip = top / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\necho "$@" >> {top}/pip.txt\n')
    pip.chmod(0o755)
    return top


def _environment(top: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GAUNTLET_")}
    path = os.pathsep.join([str(top / "bin"), str(Path(sys.executable).parent), kept["PATH"]])
    own = {"GAUNTLET_PLACE": str(top / "volume"), "GAUNTLET_VOLUME": "claim"}
    own |= {"GAUNTLET_NAMESPACE": "lab", "GAUNTLET_IMAGE": "registry.example/gauntlet:1"}
    return kept | own | {"PATH": path, "GAUNTLET_WARM": "off"}


def _snakemake(top: Path, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/kubernetes", "--nocolor"]
    command += ["--configfile", "tiny.yaml", "--seconds-between-status-checks", "1"]
    command += ["--set-resources", "check_attacks:gpu=2", "check_attacks:mem_mb=1500*attempt"]
    done = subprocess.run(
        [*command, "check_attacks:runtime=20", *arguments, "--", CHECK],
        cwd=top / "home",
        env=_environment(top) | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    return printed


def test_a_dry_run_needs_no_cluster(checkout):
    printed = _snakemake(checkout, "-n", KUBECONFIG="/nowhere")
    assert "gpu=2" in printed and "scale=0" in printed and "gpu_manufacturer=nvidia" in printed


def test_jobs_run_as_pods_that_ask_for_what_they_need(checkout):
    run = kubernetes_server.run_as_process(_environment(checkout))
    with kubernetes_server.cluster(checkout, run) as cluster:
        _snakemake(checkout, KUBECONFIG=str(cluster.config()))
    assert (checkout / "volume" / CHECK).is_file()
    assert len([path for path in cluster.deleted if "/jobs/" in path]) == len(cluster.jobs) == 1
    assert all("/namespaces/lab/" in path for path in cluster.deleted)
    (pod,) = (job["spec"]["template"]["spec"] for job in cluster.jobs.values())
    (container,) = pod["containers"]
    assert container["image"] == "registry.example/gauntlet:1"
    limits, requests = container["resources"]["limits"], container["resources"]["requests"]
    assert (limits["nvidia.com/gpu"], limits["memory"], limits["cpu"]) == ("2", "1500M", "1000m")
    assert (requests["nvidia.com/gpu"], requests["memory"]) == ("2", "1500M")
    claims = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
    assert {"claimName": "claim"} in claims
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert str(checkout / "volume") in mounts
