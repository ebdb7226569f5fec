"""A machine whose speed in bfloat16 is known, for the planning of jobs."""

from gauntlet.study import device_kind, precision, specs
from tests.helpers.overlays import completed

RUN = ("digits", "article_cnn", "baseline", 0)
MACHINE = "processor : 0\nvendor_id : A\nmodel name : One {}\nflags\t\t: {}\n"


class Bench:
    """A machine whose `speedup` is known."""

    def __init__(self, monkeypatch, folder):
        self.patch, self.folder, self.asked, self.speedup = monkeypatch, folder, [], 2.0
        monkeypatch.setattr(precision, "_ask", self._answer)
        monkeypatch.setenv(precision.CACHE, str(folder / "cache"))
        self.plans_in("study")
        self.has("fpu avx512_bf16")

    def has(self, flags: str, name: str = "1") -> None:
        info = self.folder / f"cpuinfo {flags} {name}"
        info.write_text(MACHINE.format(name, flags))
        own = {"cpuinfo": str(info)}
        for function in ("multiplies_bfloat16", "processor_name"):
            asked = getattr(device_kind, function)
            self.patch.setattr(precision, function, lambda *a, asked=asked: asked(*a, **own))
        self.forget()

    def plans_in(self, name: str) -> None:
        self.patch.setenv(precision.FOLDER, str(self.folder / name))
        self.forget()

    def forget(self) -> None:
        """Be another process."""
        precision._chosen.cache_clear()

    def kept(self, name: str) -> list:
        return sorted((self.folder / name).glob("*.json"))

    def _answer(self, question):
        self.asked.append(question)
        if isinstance(self.speedup, Exception):
            raise self.speedup
        return {"speedup": self.speedup}


def crafted(attack: str = "pgd40", run: tuple = RUN, **overlay) -> str:
    return specs.craft_spec(config_of(**overlay), *run, attack, "test")["precision"]


def config_of(compute: dict | None = None, **overlay) -> dict:
    return completed({"compute": {"device": "cpu"} | (compute or {})} | overlay)
