"""Changes of one part of the quickstart's configuration, to be laid over it."""

DATASET = {"source": "mnist"}
PGD = {"kind": "pgd", "eps": 0.1}


def attack(**changes):
    return {"attacks": {"a": PGD | changes}}


def defense(**changes):
    return {"defenses": {"d": changes}}


def study(**changes):
    return {"studies": {"quickstart": changes}}


def training(**changes):
    return {"training": changes}


def split(**changes):
    return {"datasets": {"d": DATASET | {"split": changes}}}
