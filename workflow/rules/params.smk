"""The params of result-bearing rules: a specification and the hash of the code; no rules."""

from functools import cache, lru_cache

from gauntlet.study import code_hash
from gauntlet.study.job_table import JOBS, script_of


def record_of(rule):
    """Give the path of the provenance that a rule's jobs write."""
    return JOBS[rule].provenance


@cache
def code_of(script, plugins):
    """Hash a stage's script with all that it imports and the plug-ins that its spec names."""
    return code_hash.code_hash(HOME / "workflow" / "scripts" / f"{script}.py", plugins)


def params_of(rule):
    """Give a rule's two params: its specification, and the hash of the code that reads it."""
    kind = JOBS[rule]

    @lru_cache(maxsize=1)  # both are asked for one job after the other
    def made(*values):
        return kind.spec(SETTINGS, **dict(zip(kind.names, values, strict=True)))

    def spec(wildcards):
        require_known(wildcards)
        return made(*(getattr(wildcards, name) for name in kind.names))

    def code(wildcards):
        return code_of(script_of(rule), tuple(specs.plugins(spec(wildcards))))

    return {"spec": spec, "code": code}
