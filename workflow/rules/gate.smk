rule gate:
    """Hold a study's models against what is required of them, and write how they fare."""
    input:
        rows=rules.collect_results.output.rows,
    output:
        record=f"{STUDY}gate.json",
        page=report(
            f"{STUDY}gate.md",
            caption="../report/gate.rst",
            category="Gate",
            labels={"study": "{study}", "table": "requirements"},
        ),
        provenance=f"{STUDY}gate.provenance.json",
    log:
        "logs/studies/{study}/gate.log",
    benchmark:
        "benchmarks/studies/{study}/gate.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("gate"),
    params:
        **specified("gate", audit_gate.gate_spec, "study"),
    script:
        "../scripts/gate.py"


rule pass_gate:
    """Fail with the list of what falls short, after all else is made; else let the study pass."""
    input:
        record=rules.gate.output.record,
        others=lambda wildcards: study_targets(wildcards.study),
    output:
        passed=f"{STUDY}gate.passed",
        provenance=f"{STUDY}gate_passed.provenance.json",
    log:
        "logs/studies/{study}/pass_gate.log",
    benchmark:
        "benchmarks/studies/{study}/pass_gate.tsv"
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("pass_gate"),
    params:
        **specified("pass_gate", gate_name, "study"),
    script:
        "../scripts/pass_gate.py"


rule gates:
    """Pass the gate of every study under `run`."""
    input:
        required_gates,
