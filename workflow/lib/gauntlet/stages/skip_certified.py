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
    Contradiction,
    proven,
    read_certificate,
    refuse,
)


class Spared:
    """What certificates prove about a part of the data, for one attack.

    `index` [N] are the part's images, in the part's order; `proven` float64 [N] the eps up to which
    no example of an image is misclassified.
    """

    def __init__(self, paths: Sequence[str], spec: dict, index: Tensor):
        self.spec, self.index = spec, index
        self.norm = spec["points"][0].get("norm")
        self.certificates = [read_certificate(path) for path in paths]
        self.proven = _in_order(self.certificates, self.norm, index.numpy())

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
        """Mark a ledger's rows as `certified` or not; GauntletError for a certified success."""
        radii = dict(zip(self.index.tolist(), self.proven.tolist(), strict=True))
        contradicted = []
        for row in rows:
            covered = row["norm"] == self.norm and radii[row["index"]] >= float(row["eps"])
            if covered and row["success"]:
                contradicted.append(self._contradiction(row))
            yield row | {"certified": int(covered)}
        refuse(contradicted)

    def _contradiction(self, row: dict) -> Contradiction:
        eps = float(row["eps"])
        radii = [one.radius[one.index == row["index"]][0] for one in self.certificates]
        place = next(place for place, radius in enumerate(radii) if radius >= eps)
        return Contradiction(
            image=row["index"],
            attack=self.spec["points"][0]["kind"],
            norm=self.norm,
            eps=eps,
            certificate=self.certificates[place].path,
            proven_norm=self.norm,
            radius=float(radii[place]),
        )


def _in_order(
    certificates: Sequence[CertificateLedger], norm: str, index: np.ndarray
) -> np.ndarray:
    """Give the radius proven for each image [N], in the order of `index`; -1 where none is."""
    found = np.full(len(index), NOTHING)
    radii = proven(certificates, norm)
    if radii is None:
        return found
    order = np.argsort(index, kind="stable")
    for certificate in certificates:
        if not np.array_equal(certificate.index, index[order]):
            raise GauntletError(
                f"{certificate.path} is about other images than those that are attacked; allowed "
                f"is a certificate of the same part of the data."
            )
    found[order] = np.where(radii > 0, radii, NOTHING)
    return found
