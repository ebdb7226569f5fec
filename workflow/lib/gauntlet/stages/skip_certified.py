"""Images that need no attack because they are certified, and a sample that is attacked anyway."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.core.image_rng import Streams
from gauntlet.evaluation.certificate_ledger import (
    NOTHING,
    CertificateLedger,
    proven,
    read_proof,
    refuse,
)


class Spared:
    """What certificates say of a part of the data, for one attack.

    `proofs` are those of the certificates, `index` [N] the part's images, in the part's order.
    """

    def __init__(self, paths: Sequence[str], spec: dict, index: Tensor):
        self.spec, self.index = spec, index
        self.norm = spec["points"][0].get("norm")
        self.proofs = [read_proof(path) for path in paths]
        self.proven = _in_order(self.proofs, self.norm, index.numpy())

    def limits(self) -> Tensor:
        """Give the eps up to which each image is not attacked: float64 [N], -1 for none.

        At every eps, spec["spare"]["sample"] of the images that are certified there, chosen by the
        seed and whatever the shards are, are attacked all the same.
        """
        count, left = self.spec["spare"]["sample"], self.proven.copy()
        streams = Streams.of_images(self.spec["seed"], self.index, "attacked although certified")
        ranks = streams.uniform(1).squeeze(1).numpy()
        for point in self.spec["points"]:
            covered = np.flatnonzero(self.proven >= point["eps"])
            left[covered[np.argsort(ranks[covered], kind="stable")[:count]]] = NOTHING
        return torch.from_numpy(left)

    def marked(self, rows: Iterable[dict]) -> Iterator[dict]:
        """Mark a ledger's rows as `certified` or not; GauntletError if a certified image fell."""
        radii = dict(zip(self.index.tolist(), self.proven.tolist(), strict=True))
        fallen = []
        for row in rows:
            covered = row["norm"] == self.norm and radii[row["index"]] >= float(row["eps"])
            if covered and row["success"]:
                fallen.append(self._told(row))
            yield row | {"certified": int(covered)}
        refuse(fallen)

    def _told(self, row: dict) -> str:
        eps, kind = float(row["eps"]), self.spec["points"][0]["kind"]
        names = [
            proof.path
            for proof in self.proofs
            if proof.radius[proof.index == row["index"]][0] >= eps
        ]
        return (
            f"image {row['index']} fell to {kind} at {self.norm} {eps:g}, but {names[0]} proves it "
            f"up to there"
        )


def _in_order(proofs: Sequence[CertificateLedger], norm: str, index: np.ndarray) -> np.ndarray:
    """Give the radius proven for each image [N], in the order of `index`; -1 where none is."""
    found = np.full(len(index), NOTHING)
    radii = proven(proofs, norm)
    if radii is None:
        return found
    order = np.argsort(index, kind="stable")
    for proof in proofs:
        if not np.array_equal(proof.index, index[order]):
            raise GauntletError(
                f"{proof.path} speaks of other images than those that are attacked; allowed is a "
                f"certificate of the same part of the data."
            )
    found[order] = np.where(radii > 0, radii, NOTHING)
    return found
