"""Attributes of an ONNX graph's steps: what a conversion read of them, and what it left unread."""

from typing import Any

from torch import Tensor

from gauntlet.core.errors import GauntletError

# Of no effect on what a step gives when a network is evaluated: read by nothing, and rightly so.
WITHOUT_EFFECT = {
    "BatchNormalization": {"momentum"},  # of running statistics, in training
    "Cast": {"round_mode", "saturate"},  # of types with 8 bits, which are not known
    "Dropout": {"ratio", "seed"},  # in training
    "MaxPool": {"storage_order"},  # of the second output, which is not known
}


class Attributes(dict):
    """A step's attributes by name, which keep in mind the names that were asked for."""

    def __init__(self, values: dict[str, Any]):
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def require_read(operator: str, attributes: Attributes, opset: int) -> None:
    """Raise GauntletError for an attribute that nothing read, unless it has ONNX's own default."""
    unread = attributes.keys() - attributes.asked - WITHOUT_EFFECT.get(operator, set())
    for name in sorted(unread):
        default, value = _default(operator, name, opset), dict.get(attributes, name)
        if default is None or isinstance(value, Tensor) or value != default:
            known = "known is none" if default is None else f"known is {default!r}"
            raise GauntletError(
                f"sets {name[:80]} to {str(value)[:80]}, which the conversion does not follow "
                f"({known}); set gradients: false to ask ONNX Runtime instead."
            )


def _default(operator: str, name: str, opset: int) -> Any:
    """Give what ONNX takes for an attribute that is left out; None if it has no such value."""
    import onnx

    try:
        schema = onnx.defs.get_schema(operator, opset)
    except onnx.defs.SchemaError:
        return None
    known = schema.attributes.get(name)
    if known is None or known.default_value.type == onnx.AttributeProto.UNDEFINED:
        return None
    value = onnx.helper.get_attribute_value(known.default_value)
    return value.decode() if isinstance(value, bytes) else value
