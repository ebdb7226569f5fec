"""External models in a configuration that are refused before any job, in one sentence."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study.matrix import AS_GIVEN
from gauntlet.study.schema import complete
from tests.helpers.external_studies import GIVEN, LAYERS, SHA, study
from tests.helpers.overlays import SCHEMA, laid_over


def models(**settings):
    return {"models": {"theirs": settings}}


def declared(*layers, **changes):
    """A study of a declared model with some layers put first."""
    model = {"arch": "declared", "weights": "w.pt", "layers": [*layers, *LAYERS]}
    return study(model | changes)


CONV = {"layer": "conv2d", "channels": 4, "kernel": 3}
# name of the case, what is laid over the quickstart, what the sentence must contain
CASES = [
    ("no file", models(arch="onnx"), ["theirs.weights is missing", "path or http(s) URL"]),
    ("empty file name", models(arch="mlp", weights=""), ["theirs.weights is empty"]),
    (
        "URL without a checksum",
        models(arch="mlp", weights="https://a.b/w.pt"),
        ["theirs.sha256 is missing", "URL"],
    ),
    ("ftp", models(arch="mlp", weights="ftp://a.b/w.pt", sha256=SHA), ["ftp://a.b", "http(s)"]),
    ("short checksum", models(**GIVEN, sha256="abc"), ["theirs.sha256 is 'abc'", "64 digits"]),
    (
        "mean without weights",
        models(arch="mlp", mean=0.5),
        ["theirs.mean is 0.5", "beside weights"],
    ),
    (
        "gradients without weights",
        models(arch="mlp", gradients=False),
        ["theirs.gradients is false", "beside weights"],
    ),
    ("own weights of ours", models(arch="mlp", weights="own"), ["weights is 'own'", "factory"]),
    ("range upside down", models(**GIVEN, input_range=[1, 0]), ["input_range is [1, 0]", "black"]),
    ("range of one", models(**GIVEN, input_range=[255]), ["input_range is [255]", "two numbers"]),
    ("std 0", models(**GIVEN, std=[0.2, 0]), ["theirs.std[1] is 0", "above 0"]),
    ("grb", models(**GIVEN, channel_order="grb"), ["channel_order is 'grb'", "bgr, rgb"]),
    ("input size 0", models(**GIVEN, input_size=[0, 32]), ["theirs.input_size[0] is 0"]),
    ("accuracy in %", models(**GIVEN, expected_clean_accuracy=95), ["is 95", "0 to 1"]),
    (
        "factory without a function",
        models(arch="factory", factory="nets", weights="own"),
        ["theirs.factory is 'nets'", "package.module:function"],
    ),
    (
        "factory with a date",
        models(arch="factory", factory="a:b", arguments={"x": [{1: 2}]}),
        ["theirs.arguments holds", "quote it"],
    ),
    ("unknown setting", models(**GIVEN, layers=[]), ["theirs.layers is no known key"]),
    # studies
    ("not under as_given", study(defenses=["noise"]), ["defenses lacks 'as_given'", "theirs"]),
    (
        "trained besides",
        study(defenses=["noise", AS_GIVEN]),
        ["defenses names 'noise'", "allowed is ['as_given']"],
    ),
    (
        "own model not trained",
        study(models=["theirs", "article_cnn"]),
        ["no defense to train", "article_cnn"],
    ),
    (
        "nothing given",
        {"studies": {"quickstart": {"defenses": ["baseline", AS_GIVEN]}}},
        ["defenses names 'as_given'", "none of the study's models"],
    ),
    (
        "transfer from a given model",
        study(
            models=["theirs", "article_cnn"],
            defenses=[AS_GIVEN, "baseline"],
            transfer={"source": AS_GIVEN, "attacks": ["pgd40"]},
        ),
        ["transfer.source is 'as_given'", "defense that trains"],
    ),
    (
        "as_given defined",
        {"defenses": {AS_GIVEN: {"kind": "standard"}}},
        ["'as_given'", "reserved"],
    ),
    (
        "gradients needed",
        study({"arch": "onnx", "weights": "w.onnx", "gradients": False}),
        ["attacks[0] is 'pgd40'", "needs gradients", "square"],
    ),
    ("means of three", study(GIVEN | {"mean": [0.1, 0.2, 0.3]}), ["mean has 3 values", "1x8x8"]),
    ("bgr in grey", study(GIVEN | {"channel_order": "bgr"}), ["is 'bgr'", "digits are 1x8x8"]),
    # declared layers
    ("no layers", models(arch="declared", layers=[]), ["theirs.layers is empty", "one or more"]),
    (
        "unknown layer",
        models(arch="declared", layers=[{"layer": "conv3d"}]),
        ["layers[0].layer is 'conv3d'", "nearest is 'conv2d'"],
    ),
    (
        "no kernel",
        models(arch="declared", layers=[{"layer": "conv2d", "channels": 3}]),
        ["layers[0].kernel is missing", "a whole number of 1 or more"],
    ),
    (
        "setting of another layer",
        models(arch="declared", layers=[{"layer": "relu", "slope": 1}]),
        ["layers[0].slope is no known key"],
    ),
    ("window too wide", declared(CONV | {"kernel": 9}), ["layers[0] (conv2d)", "9x9", "8x8"]),
    ("linear on an image", declared({"layer": "linear", "features": 3}), ["flatten first"]),
    ("conv behind flatten", declared({"layer": "flatten"}), ["layers[1] (conv2d)", "64 flat"]),
    ("groups", declared(CONV | {"groups": 2}), ["has groups 2", "1 channels"]),
    (
        "wide padding",
        declared({"layer": "max_pool2d", "kernel": 2, "padding": 2}),
        ["padding 2x2", "half of its window"],
    ),
    (
        "unequal sides",
        declared({"layer": "residual", "layers": [CONV]}),
        ["layers[0] (residual)", "4x6x6", "1x8x8"],
    ),
    (
        "inside a residual",
        declared({"layer": "residual", "layers": [{"layer": "linear", "features": 2}]}),
        ["layers[0] (residual).layers[0] (linear)"],
    ),
    ("too many values", declared(layers=[*LAYERS[:-1]]), ["ends with 64 values", "10 classes"]),
    ("input size", declared(input_size=[1, 1]), ["layers[2] (max_pool2d)", "1x1"]),
]


@pytest.mark.parametrize(
    ("overlay", "fragments"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_one_sentence_says_what_is_wrong_and_what_is_allowed(overlay, fragments):
    with pytest.raises(GauntletError) as caught:
        complete(laid_over(overlay), SCHEMA)
    sentences = str(caught.value).splitlines()
    assert len(sentences) == 1, sentences
    assert all(fragment in sentences[0] for fragment in fragments), sentences
    assert sentences[0].endswith(".") and len(sentences[0]) < 400


def test_layers_that_hold_themselves_are_refused():
    layers = list(LAYERS)
    layers.append({"layer": "residual", "layers": layers})
    config = laid_over()
    config["models"]["theirs"] = {"arch": "declared", "layers": layers}
    with pytest.raises(GauntletError, match="nested too deeply"):
        complete(config, SCHEMA)
