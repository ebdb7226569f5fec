"""What a study's results were made by: machine, packages and code, from their provenances."""

import hashlib
import json
from collections.abc import Iterable

from gauntlet.core.records import read_json

PACKAGES = ("torch", "numpy")
HARDWARE = ("machine", "cpu", "devices", "cuda")


def origin(provenances: Iterable[str]) -> dict:
    """Join provenances: `machines` and `packages` (lists, without repeats), `code` (one hash).

    Two studies with equal values were computed by the same code on the same kind of machine.
    """
    machines, packages, codes = set(), set(), set()
    for path in provenances:
        record = read_json(path)
        machines.add(_text({k: v for k, v in record["hardware"].items() if k in HARDWARE}))
        packages.add(_text({name: record["versions"].get(name) for name in PACKAGES}))
        codes.add(f"{record.get('rule')} {record['code']}")
    digest = hashlib.sha256("\n".join(sorted(codes)).encode()).hexdigest()
    return {
        "machines": list(map(json.loads, sorted(machines))),
        "packages": list(map(json.loads, sorted(packages))),
        "code": digest,
    }


def same_machine(one: dict, other: dict) -> bool:
    """Tell whether two studies were computed on one kind of machine, with the same packages."""
    return all(one.get(name) == other.get(name) for name in ("machines", "packages"))


def _text(value: dict) -> str:
    return json.dumps(value, sort_keys=True)
