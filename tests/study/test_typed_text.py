"""What `--config` gives as text becomes what the schema allows there, and nothing else."""

import pytest

from gauntlet.core.errors import GauntletError
from gauntlet.study.schema import complete
from tests.study.test_config import SCHEMA, laid_over

CURVE = {"kind": "pgd", "eps": ["0.1", "2/10"]}
# what --config gives (Snakemake makes nested values texts), the path of a value, the value
GIVEN = [
    ({"training": {"epochs": "2"}}, "training.epochs", 2),
    ({"training": {"learning_rate": "1e-3"}}, "training.learning_rate", 0.001),
    ({"attacks": {"pgd40": {"eps": "8/255"}}}, "attacks.pgd40.eps", "8/255"),
    ({"attacks": {"pgd40": {"eps": "0.25"}}}, "attacks.pgd40.eps", 0.25),
    ({"attacks": {"a": CURVE}}, "attacks.a.eps", [0.1, "2/10"]),
    ({"attacks": {"pgd40": {"random_start": "false"}}}, "attacks.pgd40.random_start", False),
    ({"studies": {"quickstart": {"seeds": ["3", "4"]}}}, "studies.quickstart.seeds", [3, 4]),
    (
        {"datasets": {"digits": {"split": {"test_limit": "null"}}}},
        "datasets.digits.split.test_limit",
        None,
    ),
    ({"compute": {"batch": "null"}}, "compute.batch", None),
    ({"compute": {"device": "cpu"}}, "compute.device", "cpu"),
    ({"training": {"epochs": 3}}, "training.epochs", 3),
]


def at(config: dict, path: str):
    for key in path.split("."):
        config = config[key]
    return config


@pytest.mark.parametrize(("given", "path", "value"), GIVEN)
def test_texts_have_the_types_of_the_schema(given, path, value):
    found = at(complete(laid_over(given), SCHEMA, given), path)
    assert (found, type(found)) == (value, type(value))


WRONG = [
    ({"training": {"epochs": "ten"}}, "training.epochs is 'ten'"),
    ({"training": {"epochs": "2.5"}}, "training.epochs is '2.5'"),
    ({"training": {"selection": "on"}}, "training.selection is 'on'"),
    ({"training": {"epoch": "2"}}, "training.epoch is no known key"),
    ({"training": "2"}, "training is '2'"),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_what_fits_no_type_is_refused_as_it_was_given(given, words):
    with pytest.raises(GauntletError, match=words):
        complete(laid_over(given), SCHEMA, given)


def test_a_text_in_a_file_stays_a_text():
    with pytest.raises(GauntletError, match="this is text; write 2"):
        complete(laid_over({"training": {"epochs": "2"}}), SCHEMA)
