"""Where results lie: patterns of paths below the working directory. Standard library only."""

from gauntlet.study.matrix import AS_GIVEN

DATA = "results/data/{dataset}/"
RUN = "results/runs/{dataset}/{model}/{defense}/seed{seed}/"
GIVEN = RUN.replace("{defense}", AS_GIVEN)
WEIGHTS = "results/weights/{model}/"
ATTACK = f"{RUN}attacks/{{attack}}/{{part}}/"
TRANSFER = f"{RUN}transfer/{{source}}/{{attack}}/"
CERTIFICATE = f"{RUN}certificates/{{certificate}}/{{part}}/"
STEP = f"{RUN}preprocess/{{preprocess}}/"
SEARCH = "results/searches/{search}/"
ROUND = f"{SEARCH}round{{round}}/"
TRIAL = f"{SEARCH}trial{{trial}}/seed{{seed}}/"
CHECK = "results/checks/{attack}/"
STUDY = "results/studies/{study}/"
AUDIT = f"{STUDY}audit/{{dataset}}/{{model}}/{{defense}}/seed{{seed}}/"
STEPPED = f"{STUDY}preprocess/{{dataset}}/{{model}}/{{defense}}/seed{{seed}}/{{preprocess}}/"
EVALUATION = f"{STUDY}evaluation/{{dataset}}/{{model}}/{{defense}}/seed{{seed}}"
FIGURES = (
    *("robustness", "tradeoff", "compute", "curves", "passes", "transfer"),
    *("bounds", "radii", "training", "examples", "classes", "rulegraph"),
)
