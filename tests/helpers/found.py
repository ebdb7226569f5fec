"""The state of this process that a test must leave as it found it, and what a test starts."""

import os
import signal
import sys
from dataclasses import dataclass, field

import torch

WATCHED = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGCHLD", "SIGPIPE")
# Set by pytest, at an import, or by every stage (core.device.prepare).
VOLATILE = ("PYTEST_", "TORCHINDUCTOR_", "TRITON_", "KMP_", "CUBLAS_WORKSPACE_CONFIG")
BY_STAGES = {"number of threads", "determinism"}  # put back, but no fault of a test
TORCH = {
    "number of threads": (torch.get_num_threads, torch.set_num_threads),
    "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "determinism": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
}
STARTS = {"snakemake", "gauntlet.runtime.cluster.launch"}  # programs that start Snakemake
COMMANDS = {"run", "attack"}  # those of `gauntlet` that do


@dataclass(frozen=True)
class State:
    """Signal handlers, working directory, environment and PyTorch's global settings."""

    handlers: dict
    folder: str
    environment: dict
    torch: dict

    @classmethod
    def now(cls) -> "State":
        numbers = [getattr(signal, name) for name in WATCHED if hasattr(signal, name)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(VOLATILE)}
        return cls({n: signal.getsignal(n) for n in numbers}, _folder(), environment, _torch())

    def changes(self) -> list[str]:
        """Say what has changed since."""
        now = State.now()
        found = [
            f"the handler of {signal.Signals(number).name} is {now.handlers[number]}"
            for number, handler in self.handlers.items()
            if now.handlers[number] != handler
        ]
        if now.folder != self.folder:
            found.append(f"the working directory is {now.folder}")
        names = self.environment.keys() | now.environment.keys()
        changed = [n for n in names if self.environment.get(n) != now.environment.get(n)]
        found += [f"the environment variable {name} has changed" for name in sorted(changed)]
        return found + [
            f"PyTorch's {name} is {value}"
            for name, value in now.torch.items()
            if value != self.torch[name] and name not in BY_STAGES
        ]

    def restore(self) -> None:
        for number, handler in self.handlers.items():
            if handler is not None:
                signal.signal(number, handler)
        if self.folder:
            os.chdir(self.folder)
        for name in State.now().environment.keys() - self.environment.keys():
            del os.environ[name]
        os.environ.update(self.environment)
        for name, (get, put) in TORCH.items():
            if get() != self.torch[name]:
                put(self.torch[name])


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""  # it is gone


def _torch() -> dict:
    return {name: get() for name, (get, _) in TORCH.items()}


@dataclass
class Watch:
    """Notes whether the test that runs starts Snakemake, in its fixtures too."""

    starts: list[str] = field(default_factory=list)

    def install(self) -> None:
        """See every process that this one starts; an audit hook stays until its end."""
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple) -> None:
        if event == "subprocess.Popen":
            words = [os.fsdecode(word) for word in arguments[1][:4]]
            ours = {"-m", "gauntlet"} <= set(words) and COMMANDS & set(words)
            if ours or STARTS & set(words) or any(w.endswith("bin/snakemake") for w in words):
                self.starts.append(" ".join(words))
