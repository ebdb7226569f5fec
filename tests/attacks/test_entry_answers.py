"""The entry of attacks: what a model may answer, and what is named instead."""

from types import SimpleNamespace

import pytest
import torch

from tests.helpers.attacked import data, network, predicted, run

ANSWERS = {
    "tuple": lambda logits: (logits,),
    "tuple with loss": lambda logits: (logits.sum(), logits, None),
    "tuple with maps": lambda logits: (logits, torch.zeros(len(logits), 3, 4, 4)),
    "dict": lambda logits: {"logits": logits, "hidden": logits[:, :5]},
    "dict of one": lambda logits: {"out": logits},
    "attribute": lambda logits: SimpleNamespace(logits=logits),
    "map of one place": lambda logits: logits[:, :, None, None],
    "half": lambda logits: logits.half(),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("kind", ["pgd", "adaptive", "square"])
def test_answers_of_a_clear_meaning_are_taken(name, kind, case):
    model, images, labels = case
    more = {"straight_through": True} if kind == "adaptive" else {}
    plain = run(kind, model, images, labels, **more)
    found = run(kind, lambda x: ANSWERS[name](model(x)), images, labels, **more)
    if name == "half":
        assert (found.success_query > 0).sum() >= (plain.success_query > 0).sum() - 1
    else:
        assert torch.equal(plain.images, found.images)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_logit_is_that_of_the_second_of_two_classes(shape):
    two, images = network(2), data(24)
    labels = predicted(two, images)

    def one(x):
        logits = two(x)
        return (logits[:, 1] - logits[:, 0]).view(shape)

    for kind in ("pgd", "apgd", "square"):
        assert torch.equal(
            run(kind, two, images, labels).success_query > 0,
            run(kind, one, images, labels).success_query > 0,
        )
    with pytest.raises(ValueError, match="labels hold 2, but the model has 2 classes"):
        run("pgd", one, images, labels + 1 + labels.eq(0))


UNCLEAR = {
    "two of many": lambda logits: (logits, torch.zeros(len(logits), 512)),
    "classes": lambda logits: logits.argmax(1),
    "one for all": lambda logits: logits.mean(),
    "other number": lambda logits: logits[:-1],
    "map": lambda logits: logits[:, :, None, None].expand(-1, -1, 2, 2),
    "text": lambda logits: "a cat",
    "nothing": lambda logits: None,
    "empty": lambda logits: {},
    "array": lambda logits: logits.detach().numpy(),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_other_answers_are_named_in_one_sentence(name, case):
    model, images, labels = case
    with pytest.raises(ValueError, match=r"The model answers 16 images with .*; allowed are") as no:
        run("pgd", lambda x: UNCLEAR[name](model(x)), images, labels)
    assert "\n" not in str(no.value)
