"""Weights that torchvision publishes: found by name, verified by its own hash, put into a model."""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gauntlet.core.download.mirrors import File, Places, fetch
from gauntlet.core.errors import GauntletError
from gauntlet.core.files import sha256
from gauntlet.models.external.archives import MOST
from gauntlet.models.external.states import read_state

HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # at the end of a file's name: how its sha256 begins
# They were trained on images from -1 to 1, which they make of others themselves (transform_input).
FROM_MINUS_ONE = ("googlenet", "inception_v3")
# As torchvision's own loading renames them: in its DenseNets and in its vision transformers.
OLD_NAMES = (
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads that only a training uses


class Published(NamedTuple):
    """Where weights are, how their sha256 begins, and their normalization by channel."""

    url: str
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


def published(name: str, weights: str) -> Published:
    """Look up weights of torchvision's classifier `name`; GauntletError if it has none so named."""
    from torchvision import models

    try:
        known = models.get_model_weights(name).__members__
    except ValueError as error:
        raise GauntletError(f"torchvision has no classifier '{name}' with weights.") from error
    if weights not in known:
        raise GauntletError(
            f"pretrained is '{weights}', but torchvision's {name} has no weights of this name; "
            f"allowed are {', '.join(sorted(known))}."
        )
    chosen = known[weights].value
    found = HASH.search(chosen.url)
    if found is None:
        raise GauntletError(f"{chosen.url} names no hash, by which its content could be verified.")
    used = chosen.transforms()
    half = name in FROM_MINUS_ONE
    mean, std = ((0.5,) * 3, (0.5,) * 3) if half else (tuple(used.mean), tuple(used.std))
    return Published(chosen.url, found[1], mean, std)


def fetch_pretrained(name: str, weights: str, mirrors: list[str], cache: Path) -> Path:
    """Get the file of published weights into a folder, from mirrors first; gives its path there.

    Raises GauntletError for unknown weights, and with all places that were tried.
    """
    known = published(name, weights)
    base, _, file = known.url.rpartition("/")

    def verified(path: Path) -> Path:
        found = sha256(path)
        if not found.startswith(known.digest):
            raise GauntletError(
                f"{path.name} has a sha256 that begins with {found[: len(known.digest)]}, not with "
                f"{known.digest}; get the file again"
            )
        return path

    fetch([File((file,), MOST, verified)], Places(mirrors, (base,), ("",)), cache)
    return cache / file


def load_pretrained(network: nn.Module, name: str, path: str) -> None:
    """Load a file's weights into a network of torchvision, but a head of other classes.

    The head is the last layer; with the file's number of classes it is loaded too. The file is read
    as data only. Raises GauntletError if it cannot be read or is of another network.
    """
    own = network.state_dict()
    size = sum(tensor.numel() * tensor.element_size() for tensor in own.values())
    found = read_state(path, size)[0]
    state = {_present(key): value for key, value in found.items() if not key.startswith(AUXILIARY)}
    head = f"{list(own)[-1].rpartition('.')[0]}."
    others = {key for key in own.keys() | state.keys() if not _fits(own, state, key)}
    wrong = sorted(key for key in others if not key.startswith(head) or _lacks(own, state, key))
    if wrong:
        sizes = [list(part[wrong[0]].shape) if wrong[0] in part else None for part in (own, state)]
        raise GauntletError(
            f"{path} does not fit torchvision's {name}: '{wrong[0]}' should have shape {sizes[0]} "
            f"and has {sizes[1]}; allowed is a file of the same network, whose last layer may have "
            "other classes."
        )
    own.update({key: state[key] for key in state if key not in others})
    network.load_state_dict(own)  # still the network's own mapping, which knows its version


def _present(key: str) -> str:
    """Give the present name of a weight in files of older versions of torchvision."""
    for pattern, name in OLD_NAMES:
        key = pattern.sub(name, key)
    return key


def _fits(own: dict[str, Tensor], state: dict[str, Tensor], key: str) -> bool:
    return key in own and key in state and own[key].shape == state[key].shape


def _lacks(own: dict[str, Tensor], state: dict[str, Tensor], key: str) -> bool:
    """Tell whether a part of the head is missing, or differs in more than its classes."""
    if key not in own or key not in state:
        return True
    return own[key].shape[1:] != state[key].shape[1:]


def normalize_as_published(mean: Tensor, std: Tensor, known: Published) -> None:
    """Write the published normalization into a model's buffers [1, C, 1, 1].

    A network that repeats a gray channel gets the means over the three channels.
    """
    for buffer, values in ((mean, known.mean), (std, known.std)):
        given = torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)
        fits = given.shape[1] == buffer.shape[1]
        buffer.copy_(given if fits else given.mean(1, keepdim=True))
