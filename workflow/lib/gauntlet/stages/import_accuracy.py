"""What an external model's clean accuracy says of its input settings, and which would be better."""

from collections.abc import Callable, Iterator

from gauntlet.evaluation.metrics import wilson

FEW = 256  # images on which other settings are tried
LEAST = 50  # images below which nothing is said of chance
SHORT = 0.05  # accuracy below what is expected that gives a warning
GAIN = 0.1  # accuracy that other settings must gain to be named
NEAR = 0.1  # share of the way from chance to 1 that is no better than chance
RANGES = ([0, 1], [0, 255], [-1, 1])
# Means and standard deviations that networks are usually trained with, by channels.
HALF = {"mean": 0.5, "std": 0.5}
USUAL = {
    1: {
        "MNIST": {"mean": 0.1307, "std": 0.3081},
        "Fashion-MNIST": {"mean": 0.286, "std": 0.353},
        "0.5": HALF,
    },
    3: {
        "ImageNet": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "CIFAR-10": {"mean": [0.4914, 0.4822, 0.4465], "std": [0.247, 0.2435, 0.2616]},
        "0.5": HALF,
    },
}
NONE = {"mean": 0.0, "std": 1.0}


def accuracy_warnings(
    accuracy: float, expected: float | None, classes: int, count: int
) -> Iterator[str]:
    """Say if accuracy on `count` clean images is near chance, or surely below what is expected.

    Near chance is an accuracy within a tenth of the way from chance to 1, or whose 95 % interval
    holds chance; nothing is said of fewer than LEAST images.
    """
    chance = 1 / classes
    low, high = wilson(accuracy, count)
    shown = (
        f"clean accuracy is {100 * accuracy:.1f} % on {count} validation images (95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f} %)"
    )
    near = accuracy <= chance + NEAR * (1 - chance) or low <= chance
    if near and count >= LEAST:
        yield f"{shown}, near chance ({100 * chance:.1f} %): input settings are likely to be wrong"
    elif expected is not None and accuracy < expected - SHORT and high < expected:
        yield f"{shown}, {100 * expected:.1f} % is expected: input settings may be wrong"


def better_settings(
    settings: dict, accuracy: float, measure: Callable[[dict], float], channels: int
) -> str | None:
    """Try other ranges and usual normalizations: name those with which a model does much better.

    Another order of channels is tried only where none of them does.
    """
    order = settings.get("channel_order", "rgb")
    orders = [order] if channels != 3 else [order, "bgr" if order == "rgb" else "rgb"]
    for turned in orders:
        extra = {} if turned == order else {"channel_order": turned}
        tried = {text: change | extra for text, change in _changes(settings, channels).items()}
        found = {text: measure(settings | change) for text, change in tried.items()}
        best = max(found, key=found.__getitem__)
        if found[best] > accuracy + GAIN:
            words = [text for text in (*map(_setting, extra.items()), best) if text]
            return f"with {', '.join(words)} it would be {100 * found[best]:.1f} %"
    return None


def _changes(settings: dict, channels: int) -> dict[str, dict]:
    """Give changes of settings under the words that a message has for them; first without any."""
    changes: dict[str, dict] = {"": {}}
    for span in RANGES:
        changes[_setting(("input_range", span))] = {"input_range": span}
    for name, pair in (USUAL.get(channels, {"0.5": HALF}) | {"none": NONE}).items():
        change = pair | {"input_range": [0, 1]}
        changes[f"{', '.join(map(_setting, change.items()))} (that of {name})"] = change
    return changes


def _setting(pair: tuple[str, object]) -> str:
    return f"{pair[0]}: {pair[1]}"
