"""When an external model's accuracy is told, and which settings are named."""

import pytest
import torch
from torch import nn

from gauntlet.stages.import_accuracy import accuracy_warnings, better_settings


@pytest.mark.parametrize(
    ("accuracy", "expected", "classes", "count", "message"),
    [
        (0.10, None, 10, 1000, "near chance"),
        (0.18, None, 10, 1000, "near chance"),
        (0.25, None, 10, 1000, None),
        (0.90, 0.96, 10, 1000, "96.0 % is expected"),
        (0.92, 0.96, 10, 1000, None),
        (0.54, None, 2, 1000, "near chance"),
        (0.80, None, 2, 1000, None),
        # few images: chance is not told from them, and an interval decides
        (1 / 7, None, 10, 7, None),
        (0.0, None, 10, 49, None),
        (0.10, None, 10, 50, "95 % interval 4.3 to 21.4 %), near chance"),
        (0.28, None, 10, 50, None),
        (0.62, None, 2, 50, "near chance"),
        (0.90, 0.96, 10, 20, None),
        (0.20, 0.96, 10, 20, "96.0 % is expected"),
    ],
)
def test_when_accuracy_is_told(accuracy, expected, classes, count, message):
    found = list(accuracy_warnings(accuracy, expected, classes, count))
    assert [message in text for text in found] == ([True] if message else [])


IMAGES = torch.rand(400, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def measure_of(right: dict):
    """Give the accuracy of a linear network trained with some settings, under other ones."""
    net = nn.Linear(48, 10)
    nn.init.normal_(net.weight, generator=torch.Generator().manual_seed(1))

    def answers(settings):
        low, high = settings.get("input_range", [0, 1])
        x = IMAGES.flip(1) if settings.get("channel_order") == "bgr" else IMAGES
        mean, std = (
            torch.tensor(settings.get(key, default)).reshape(1, -1, 1, 1)
            for key, default in (("mean", 0.0), ("std", 1.0))
        )
        seen = ((low + (high - low) * x) - mean) / std
        return net(seen.flatten(1)).argmax(1)

    truth = answers(right)
    return lambda settings: float((answers(settings) == truth).float().mean())


IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(
    ("right", "settings", "named"),
    [
        (IMAGENET, {"channel_order": "rgb"}, "0.456, 0.406], std: [0.229, 0.224, 0.225], input"),
        (IMAGENET, {"mean": 5.0}, "(that of ImageNet) it would be 100.0 %"),
        ({"mean": 0.5, "std": 0.5}, {"mean": 3.0, "std": 9.0}, "mean: 0.5, std: 0.5"),
        ({"input_range": [-1, 1]}, {"mean": 2.0}, "mean: 0.5, std: 0.5"),  # the same
        ({}, {"mean": 2.0, "std": 0.1}, "(that of none)"),
        ({"channel_order": "bgr"}, {}, "with channel_order: bgr it would be 100.0 %"),
        (IMAGENET | {"channel_order": "bgr"}, IMAGENET, "with channel_order: bgr it would"),
    ],
)
def test_usual_settings_are_named_and_bgr_only_where_no_other_helps(right, settings, named):
    measure = measure_of(right)
    accuracy = measure(settings)
    assert named in better_settings(settings, accuracy, measure, 3)
    if "bgr" not in named:
        assert "bgr" not in better_settings(settings, accuracy, measure, 3)


def test_nothing_is_named_where_settings_are_right():
    measure = measure_of(IMAGENET)
    assert better_settings(IMAGENET, measure(IMAGENET), measure, 3) is None
    assert better_settings({}, 0.95, lambda settings: 1.0, 1) is None
