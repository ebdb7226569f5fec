rule propose_trials:
    """Choose the settings of a round of trials from the results of the rounds before."""
    input:
        results=files_needed("propose_trials", "results", "trial.json"),
    output:
        proposal=f"{ROUND}trials.json",
        provenance=record_of("propose_trials"),
    log:
        "logs/searches/{search}/round{round}.log",
    benchmark:
        "benchmarks/searches/{search}/round{round}.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("propose_trials"),
    params:
        **params_of("propose_trials"),
    script:
        "../scripts/propose_trials.py"


rule run_trial:
    """Train with the settings of one trial, and judge them on the validation part."""
    input:
        images=file_needed("run_trial", "source", "images.npy"),
        labels=file_needed("run_trial", "source", "labels.npy"),
        meta=file_needed("run_trial", "source", "data.json"),
        split=file_needed("run_trial", "split", "split.json"),
        start=files_needed("run_trial", "start", weights_file),
        pretrained=pretrained_of_trial,
        crafted=files_needed("run_trial", "crafted", "draws.npy"),
        teacher=files_needed("run_trial", "teacher", weights_file),
        extra=further_images_of_trial,
        proposal=file_needed("run_trial", "proposal", "trials.json"),
    output:
        result=f"{TRIAL}trial.json",
        history=f"{TRIAL}history.csv",
        provenance=record_of("run_trial"),
    log:
        "logs/searches/{search}/trial{trial}/seed{seed}.log",
    benchmark:
        "benchmarks/searches/{search}/trial{trial}/seed{seed}.tsv"
    priority: ranked("run_trial")
    conda:
        "../../envs/gauntlet.yaml"
    threads: THREADS
    resources:
        **sized("run_trial"),
        gpu=GPUS,
    params:
        **params_of("run_trial"),
    script:
        "../scripts/run_trial.py"


rule choose_trial:
    """Compare the trials of a search, and choose the settings of the best one."""
    input:
        results=files_needed("choose_trial", "results", "trial.json"),
    output:
        best=f"{SEARCH}best.json",
        rows=f"{SEARCH}trials.json",
        table=report(
            f"{SEARCH}trials.csv",
            caption="../report/search.rst",
            category="Searches",
            labels={"search": "{search}", "table": "trials"},
        ),
        provenance=record_of("choose_trial"),
    log:
        "logs/searches/{search}/choose.log",
    benchmark:
        "benchmarks/searches/{search}/choose.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("choose_trial"),
    params:
        **params_of("choose_trial"),
    script:
        "../scripts/choose_trial.py"


rule plot_search:
    """Draw a search: what each trial reached, and which settings mattered."""
    input:
        rows=rules.choose_trial.output.rows,
    output:
        png=report(
            f"{SEARCH}trials.png",
            caption="../report/search.rst",
            category="Searches",
            labels={"search": "{search}", "figure": "trials"},
        ),
        svg=f"{SEARCH}trials.svg",
        provenance=record_of("plot_search"),
    log:
        "logs/searches/{search}/plot.log",
    benchmark:
        "benchmarks/searches/{search}/plot.tsv"
    localrule: True
    conda:
        "../../envs/gauntlet.yaml"
    threads: 1
    resources:
        **sized("plot_search"),
    params:
        **params_of("plot_search"),
    script:
        "../scripts/plot_figure.py"


rule searches:
    """Make all searches of the configuration: winners, tables of trials and figures."""
    input:
        all_searches,
    localrule: True
