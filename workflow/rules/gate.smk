rule gate:
    """Compare a study's models with their requirements, and record the result."""
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
        provenance=record_of("gate"),
    log:
        "logs/studies/{study}/gate.log",
    benchmark:
        "benchmarks/studies/{study}/gate.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("gate"),
    params:
        **params_of("gate"),
    script:
        "../scripts/gate.py"


rule pass_gate:
    """Fail with a list of unmet requirements, after all else is made; else record that all are met."""
    input:
        record=rules.gate.output.record,
        others=other_results,
    output:
        passed=f"{STUDY}gate.passed",
        provenance=record_of("pass_gate"),
    log:
        "logs/studies/{study}/pass_gate.log",
    benchmark:
        "benchmarks/studies/{study}/pass_gate.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("pass_gate"),
    params:
        **params_of("pass_gate"),
    script:
        "../scripts/pass_gate.py"


rule complete_study:
    """Fail with a list of what failed on which model, after all else is made; else say all is there."""
    input:
        rows=rules.collect_results.output.rows,
        results=files_needed("complete_study", "results", fallible_file),
        others=other_results,
    output:
        complete=f"{STUDY}complete",
        provenance=record_of("complete_study"),
    log:
        "logs/studies/{study}/complete.log",
    benchmark:
        "benchmarks/studies/{study}/complete.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("complete_study"),
    params:
        **params_of("complete_study"),
    script:
        "../scripts/complete_study.py"


rule gates:
    """Pass the gate of every study under `run`."""
    input:
        required_gates,
