"""A real Slurm of two nodes with two fake GPUs each, on this machine and its loopback alone."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
NODES = ("node1", "node2")
# Daemons listen on the loopback only; any two character devices pass for GPUs.
CONF = """
ClusterName=local
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd-%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd-%n.log
SlurmctldPort={ports[0]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
DefMemPerCPU=500
MinJobAge=3600
KillWait=2
ReturnToService=2
SlurmdTimeout=10
SlurmdParameters=config_overrides
MailProg=/bin/true
GresTypes=gpu
NodeName=node[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}] \
CPUs=4 RealMemory=32000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP
PartitionName=first Nodes=node1 MaxTime=INFINITE DefaultTime=10 State=UP
PartitionName=second Nodes=node2 MaxTime=INFINITE DefaultTime=10 State=UP
"""
GRES = "NodeName=node[1-2] Name=gpu File=/dev/null,/dev/zero Flags=nvidia_gpu_env\n"


def missing() -> str:
    """Say why no Slurm can be started here; empty if one can."""
    absent = [name for name in NEEDED if not find(name)]
    if absent:
        return f"Slurm's {', '.join(absent)} cannot be found"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started by root alone"


def find(name: str) -> str | None:
    """Find a program, in the folders of the administrator too."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_ports() -> tuple[int, int, int]:
    """Find three ports on the loopback that nobody uses, the last two in a row."""
    while True:
        with contextlib.ExitStack() as stack:
            doors = [stack.enter_context(socket.socket()) for _ in range(3)]
            doors[0].bind(("127.0.0.1", 0))
            doors[1].bind(("127.0.0.1", 0))
            second = doors[1].getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                doors[2].bind(("127.0.0.1", second + 1))
                return doors[0].getsockname()[1], second, second + 1


class Slurm:
    """A controller and two nodes below `root`; ends with all that it started."""

    def __init__(self, root: Path):
        self.root = root
        for name in ("etc", "state", "run", "log", "bin", *(f"spool-{node}" for node in NODES)):
            (root / name).mkdir(parents=True)
        self.conf = root / "etc" / "slurm.conf"
        self.conf.write_text(CONF.format(root=root, ports=free_ports()))
        (root / "etc" / "gres.conf").write_text(GRES)
        # The plugin's job step drops SLURM_CONF before it calls srun.
        wrapper = root / "bin" / "srun"
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {find("srun")} "$@"\n')
        wrapper.chmod(0o755)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
        self.environment = kept | {
            "SLURM_CONF": str(self.conf),
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin",
        }

    def start(self) -> None:
        """Start all daemons, and wait until both nodes are idle."""
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait(lambda: self.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%T") == "idle\nidle")

    def start_controller(self) -> None:
        """Start the controller; it takes up what it knew before."""
        self.ask("slurmctld")
        self.wait(lambda: "UP" in self.ask("scontrol", "ping", check=False))

    def start_node(self, node: str) -> None:
        """Start a node, or bring a lost one back."""
        self.ask("slurmd", "-N", node)

    def stop_controller(self) -> None:
        """End the controller; running jobs go on without it."""
        pid = self._pid("slurmctld")
        os.kill(pid, signal.SIGTERM)
        self.wait(lambda: not Path(f"/proc/{pid}").exists())

    def lose_node(self, node: str) -> None:
        """Kill a node's daemon, its job steps and their processes, as a power cut does."""
        tree = _descendants(self._pid(f"slurmd-{node}"))
        tree += [pid for step in self._steps(node) for pid in _descendants(step)]
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Cancel all jobs, end all daemons."""
        if "UP" in self.ask("scontrol", "ping", check=False):
            jobs = self.jobs()
            if jobs:
                self.ask("scancel", "--signal=KILL", "--full", *jobs, check=False)
                self.ask("scancel", *jobs, check=False)
            with contextlib.suppress(TimeoutError):
                self.wait(lambda: not self.jobs(), seconds=20)
        for node in NODES:
            with contextlib.suppress(OSError, ValueError):
                self.lose_node(node)
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            self.stop_controller()

    def jobs(self, *states: str) -> list[str]:
        """List the ids of jobs in the queue, of all states that are not an end if none is given."""
        chosen = ["-t", ",".join(states)] if states else []
        return self.ask("squeue", "-h", "-o", "%A", *chosen).split()

    def ask(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's programs, and give what it says."""
        done = subprocess.run(
            [find(command[0]), *command[1:]],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def wait(self, condition, seconds: float = 60) -> None:
        """Wait until a condition holds; TimeoutError if it does not in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Slurm: not in {seconds:g} s ({self.tail()})")
            time.sleep(0.2)

    def tail(self) -> str:
        """Give the last lines of the daemons' logs."""
        logs = sorted((self.root / "log").glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-600:]}" for log in logs)

    def _pid(self, daemon: str) -> int:
        return int((self.root / "run" / f"{daemon}.pid").read_text())

    def _steps(self, node: str) -> list[int]:
        """Find the processes that carry a node's jobs: they write to its log."""
        log = str(self.root / "log" / f"slurmd-{node}.log")
        return [pid for pid, line in _processes() if "slurmstepd" in line and _holds(pid, log)]


def _processes() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            found.append((int(folder.name), line))
    return found


def _holds(pid: int, file: str) -> bool:
    with contextlib.suppress(OSError):
        return any(os.readlink(door) == file for door in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _descendants(pid: int) -> list[int]:
    """Give a process and all below it, whichever of its threads has started them."""
    found = [pid]
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children = (thread / "children").read_text().split()
            found += [other for child in children for other in _descendants(int(child))]
    return found
