"""The network, images and labels that tests of the attacks' entry share."""

import pytest

from tests.helpers.attacked import data, network, predicted


@pytest.fixture(scope="module")
def case():
    model, images = network(), data()
    return model, images, predicted(model, images)
