"""Settings of a model's input: range, channel order, size, mean and standard deviation."""

import pytest
import torch
from torch import nn

from gauntlet.core.errors import GauntletError
from gauntlet.models import build_model
from tests.helpers import tiny
from tests.helpers.state_files import NET

SETTINGS = {
    "range": {"input_range": [0, 255], "mean": [100.0, 110.0, 120.0], "std": [50.0, 60.0, 70.0]},
    "one number": {"input_range": [-1, 1], "mean": 0.5, "std": 2},
    "bgr": {"channel_order": "bgr", "mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]},
    "all": {"input_range": [0, 255], "channel_order": "bgr", "mean": [1.0, 2.0, 3.0]}
    | {"input_size": [12, 10]},
}


@pytest.mark.parametrize("case", SETTINGS)
def test_input_settings_mean_what_they_say(case):
    settings = SETTINGS[case]
    model = build_model({"arch": "mlp", "hidden": [4]} | settings, (3, 8, 8), 5, 0)
    images = torch.rand(2, 3, 8, 8)
    seen = images.flip(1) if settings.get("channel_order") == "bgr" else images
    if "input_size" in settings:
        seen = nn.functional.interpolate(seen, settings["input_size"], mode="bilinear")
    low, high = settings.get("input_range", [0, 1])
    seen = low + seen * (high - low)
    mean, std = (
        torch.tensor(settings.get(key, default)).float().reshape(1, -1, 1, 1)
        for key, default in (("mean", 0.0), ("std", 1.0))
    )
    network = model.network if len(settings) == 3 and case != "bgr" else model.network[-1]
    torch.testing.assert_close(model(images), network((seen - mean) / std), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"mean": [0.1, 0.2]}, "mean has 2 values.*1 channels"), ({"channel_order": "bgr"}, "bgr")],
)
def test_input_settings_that_do_not_fit_the_images_are_told(settings, says):
    with pytest.raises(GauntletError, match=says):
        build_model(NET | settings, tiny.SHAPE, 2, 0)
