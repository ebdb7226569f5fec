"""Where a network that was rebuilt from an ONNX file begins to differ from the file's own."""

import torch
from torch import Tensor

from gauntlet.models._onnx_convert import built
from gauntlet.models._onnx_file import Graph, read_graph

FEW = 2  # images of the comparison, where a file does not fix their number


def first_differing_step(
    artefact: bytes, shape: tuple[int, int, int], images: Tensor, tolerance: float
) -> str | None:
    """Name the first step whose result differs from ONNX Runtime's by more than `tolerance`.

    `images` [N, C, H, W] are what the network itself sees, `tolerance` a share of the largest value
    of a step's result. None if no step does, or if the file cannot be run step by step.
    """
    graph = read_graph(artefact, shape)
    shown = images[: graph.batch or FEW].float().cpu()
    shown = shown.permute(0, 2, 3, 1) if graph.channels_last else shown
    network = built(graph, shape)
    names = [name for wire in network.wiring for name in wire.given]
    try:
        theirs = _by_runtime(artefact, graph, names, shown)
        with torch.no_grad():
            ours = network.results(shown)
    except Exception:  # engines raise what they like; the comparison of logits has told already
        return None
    for wire in network.wiring:
        for name in wire.given:
            if name in ours and differs(ours[name], theirs[name], tolerance):
                return wire.name
    return None


def differs(ours: Tensor, theirs: Tensor, tolerance: float) -> bool:
    """Tell whether two tensors differ by more than a share of the largest value of `theirs`."""
    if ours.shape != theirs.shape:
        return True
    ours, theirs = ours.double(), theirs.double()
    finite = theirs[theirs.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return not torch.allclose(ours, theirs, rtol=0, atol=tolerance * scale, equal_nan=True)


def _by_runtime(
    artefact: bytes, graph: Graph, names: list[str], shown: Tensor
) -> dict[str, Tensor]:
    """Run the file with all results of its steps as outputs, and nothing optimized away."""
    import onnx
    import onnxruntime

    model = onnx.ModelProto.FromString(artefact)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    engine = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results = engine.run(names, {graph.source: shown.contiguous().numpy()})
    return {name: torch.from_numpy(value) for name, value in zip(names, results, strict=True)}
