"""The true least margin of a small network of kinks, by mixed-integer linear programming."""

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp

from gauntlet.certify._ops import Activation, Input, Sum

LARGEST = 24  # undecided kinks that are solved in reasonable time


def exact_margin(nodes, image, label: int, eps: float) -> float | None:
    """Give the least margin in the linf ball around one image [C, H, W], cut by [0, 1], in float64.

    None for operations besides affine ones, sums and kinks, or with too many undecided kinks.
    Tjeng et al. 2019, "Evaluating Robustness of Neural Networks with Mixed Integer Programming".
    """
    program = _Program()
    flat = image.double().flatten().numpy()
    for node in nodes:
        if isinstance(node.op, Input):
            program.add(np.maximum(flat - eps, 0), np.minimum(flat + eps, 1))
        elif isinstance(node.op, Sum):
            one = np.eye(int(np.prod(node.shape)))
            program.affine([(parent, one) for parent in node.parents], 0.0)
        elif isinstance(node.op, Activation):
            program.kink(node.parents[0], node.op.slope)
        elif hasattr(node.op, "adjoint"):
            (parent,) = node.parents
            program.affine(
                [(parent, _matrix(node, nodes[parent].shape))], _shift(node, nodes[parent].shape)
            )
        else:
            return None
    return program.least(label) if program.undecided <= LARGEST else None


def _shift(node, shape) -> np.ndarray:
    return node.op.forward(torch.zeros(1, *shape, dtype=torch.float64)).flatten().detach().numpy()


def _matrix(node, shape) -> np.ndarray:
    size = int(np.prod(shape))
    unit = torch.eye(size, dtype=torch.float64).view(size, *shape)
    return node.op.forward(unit).flatten(1).detach().numpy().T - _shift(node, shape)[:, None]


class _Program:
    def __init__(self):
        self.layers: list[tuple[int, int]] = []  # first and last variable
        self.low, self.high, self.whole = np.zeros(0), np.zeros(0), np.zeros(0)
        self.rows: list[tuple[dict[int, float], float, float]] = []
        self.undecided = 0

    def add(self, low, high, whole: bool = False, layer: bool = True) -> int:
        start = len(self.low)
        self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])
        self.whole = np.concatenate([self.whole, np.full(len(low), float(whole))])
        if layer:
            self.layers.append((start, len(self.low)))
        return start

    def affine(self, terms, shift) -> None:
        low, high = shift + 0.0, shift + 0.0
        for parent, matrix in terms:
            start, end = self.layers[parent]
            up, down = matrix.clip(min=0), matrix.clip(max=0)
            low = low + up @ self.low[start:end] + down @ self.high[start:end]
            high = high + up @ self.high[start:end] + down @ self.low[start:end]
        first = self.add(low - 1e-9, high + 1e-9)
        shift = np.broadcast_to(shift, low.shape)
        for place in range(len(low)):
            row = {first + place: 1.0}
            for parent, matrix in terms:
                start = self.layers[parent][0]
                for column in matrix[place].nonzero()[0]:
                    at = start + int(column)
                    row[at] = row.get(at, 0.0) - matrix[place, column]
            self.rows.append((row, shift[place], shift[place]))

    def kink(self, parent: int, slope: float) -> None:
        start, end = self.layers[parent]
        low, high = self.low[start:end], self.high[start:end]
        ends = np.stack([np.maximum(low, slope * low), np.maximum(high, slope * high)])
        least = np.where((low < 0) & (high > 0), np.minimum(ends.min(0), 0), ends.min(0))
        first = self.add(least - 1e-9, ends.max(0) + 1e-9)
        for place in range(len(low)):
            z, y = start + place, first + place
            if low[place] >= 0 or high[place] <= 0:
                self.rows.append(({y: 1.0, z: -1.0 if low[place] >= 0 else -slope}, 0.0, 0.0))
                continue
            self.undecided += 1
            on = self.add(np.zeros(1), np.ones(1), whole=True, layer=False)
            off, beyond = (1 - slope) * -low[place], (1 - slope) * high[place]
            self.rows += [
                ({y: 1.0, z: -1.0}, 0.0, np.inf),
                ({y: 1.0, z: -slope}, 0.0, np.inf),
                ({y: 1.0, z: -1.0, on: off}, -np.inf, off),
                ({y: 1.0, z: -slope, on: -beyond}, -np.inf, 0.0),
            ]

    def least(self, label: int) -> float:
        start, end = self.layers[-1]
        matrix = np.zeros((len(self.rows), len(self.low)))
        for number, (row, _, _) in enumerate(self.rows):
            matrix[number, list(row)] = list(row.values())
        lower, upper = (np.array([row[side] for row in self.rows]) for side in (1, 2))
        worst = np.inf
        for other in set(range(end - start)) - {label}:
            cost = np.zeros(len(self.low))
            cost[start + label], cost[start + other] = 1.0, -1.0
            constraints = LinearConstraint(matrix, lower, upper)
            box = Bounds(self.low, self.high)
            options = {"time_limit": 20.0, "mip_rel_gap": 0.0}
            done = milp(
                cost, constraints=constraints, bounds=box, integrality=self.whole, options=options
            )
            worst = min(worst, done.fun if done.status == 0 else np.inf)
        return worst
