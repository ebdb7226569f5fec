"""The params of result-bearing rules: a specification and the hash of the code; no rules."""


def script_path(name):
    """Give a stage's script."""
    return str(HOME / "workflow" / "scripts" / f"{name}.py")


@cache
def code_of(stage, plugins):
    """Hash a stage's script with all it imports and the plug-ins that its spec names."""
    return code_hash.code_hash(Path(script_path(stage)), plugins)


def specified(stage, make, *names):
    """Give a rule's two params: its spec from `make`, and the hash of the code that reads it."""

    @lru_cache(maxsize=1)  # both are asked for one job after the other
    def made(*words):
        return make(SETTINGS, **dict(zip(names, words, strict=True)))

    def spec_of(wildcards):
        return made(*(getattr(wildcards, name) for name in names))

    def code(wildcards):
        return code_of(stage, tuple(specs.plugins(spec_of(wildcards))))

    return {"spec": spec_of, "code": code}


RUN_NAMES = ("dataset", "model", "defense", "seed")
