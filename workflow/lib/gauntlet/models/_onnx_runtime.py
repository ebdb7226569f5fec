"""An ONNX network asked through ONNX Runtime: answers, no gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

from gauntlet.core.errors import GauntletError
from gauntlet.models._frames import first_line
from gauntlet.models._onnx_file import Graph


def session(artefact: bytes, graph: Graph) -> Callable[[Tensor], Tensor]:
    """Give a function from images [N, C, H, W] to logits [N, K], on the CPU.

    Raises GauntletError if ONNX Runtime cannot run the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        engine = onnxruntime.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        raise GauntletError(f"ONNX Runtime cannot run it ({first_line(error)}).") from error

    def answer(images: Tensor) -> Tensor:
        shown = images.permute(0, 2, 3, 1) if graph.channels_last else images
        given = {graph.source: shown.detach().float().cpu().contiguous().numpy()}
        return torch.from_numpy(engine.run([graph.target], given)[0]).to(images.device)

    return answer
