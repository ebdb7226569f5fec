"""A network in an ONNX file: rebuilt from PyTorch's layers, or asked through ONNX Runtime."""

from torch import nn

from gauntlet.models._frames import Held, any_batch

# Without gradients the file's own engine answers, with which the rebuilt network is compared.
ASKED_WITHOUT_GRADIENTS = True


def onnx(
    shape: tuple[int, int, int], classes: int, *, artefact: bytes, gradients: bool = True
) -> nn.Module:
    """Load an ONNX network for images of `shape` (C, H, W) from a file's content.

    With `gradients` its graph is rebuilt from PyTorch's layers, in which gradients flow; without,
    ONNX Runtime answers. Networks that take [N, H, W, C] are shown that. Raises GauntletError for
    a damaged file, an operator that is not known (by its name), or images that it cannot take.
    """
    from gauntlet.models._onnx_file import read_graph

    graph = read_graph(artefact, shape)
    if not gradients:
        from gauntlet.models._onnx_runtime import session

        return any_batch(Held(session(artefact, graph), False), shape, graph.batch, "the network")
    from gauntlet.models._onnx_convert import convert

    return any_batch(convert(graph, shape), shape, graph.batch, "the network").requires_grad_(False)
