"""Going back to the last good state of a training that collapsed."""

from typing import Any

import torch

SHORTER = 0.75  # of the step of the attack inside, after each way back


class Rollback:
    """The state at the end of the last good epoch, and the share of the step that is left.

    `parts` are modules, optimizers and others with `state_dict` and `load_state_dict`.
    """

    def __init__(self, parts: dict[str, Any]):
        self.parts, self.share = parts, 1.0
        self.good: dict[str, Any] = {}
        self.keep()

    def keep(self) -> None:
        """Take the parts' states as good."""
        self.good = {name: _copied(part.state_dict()) for name, part in self.parts.items()}

    def back(self) -> None:
        """Give the parts their last good states, and make the steps shorter."""
        for name, part in self.parts.items():
            part.load_state_dict(_copied(self.good[name]))
        self.share *= SHORTER

    def state_dict(self) -> dict[str, Any]:
        """Give the good states and the share of the step."""
        return {"good": self.good, "share": self.share}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what another one knew."""
        self.good, self.share = state["good"], state["share"]


def _copied(state: Any) -> Any:
    """Copy nested mappings and lists of tensors; a training changes its tensors in place."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: _copied(part) for name, part in state.items()}
    return [_copied(part) for part in state] if isinstance(state, list) else state
