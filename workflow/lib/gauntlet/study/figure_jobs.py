"""The jobs of a study's figures, for the table of jobs. Standard library only."""

from collections.abc import Callable, Mapping

from gauntlet.study import job_needs, paths, specs, specs_tables, table_needs
from gauntlet.study.job_kind import JobKind, Need
from gauntlet.study.specs import Spec

SCRIPT = "plot_figure"  # of all figures

MODEL = Need(("train_model", "import_model"), job_needs.model)
MODELS = MODEL._replace(find=job_needs.models)
RECORDS = {"records": Need(("evaluate_robustness",), job_needs.evaluations)}
TABLE = {"robustness": Need(("collect_results",), table_needs.table)}
COSTS = TABLE | {"timings": Need(("publish_tables",), table_needs.tables)}
ALL_DATA = {"data": Need(("download_data",), job_needs.sources)}
ALL_SPLITS = {"splits": Need(("split_data",), job_needs.splits)}
SHOWN = {"ledgers": Need(("craft_examples",), job_needs.shown_attacks)}


def _figure(
    name: str, needs: Mapping[str, Need], shown: Callable[..., Spec] = specs.figure_spec
) -> JobKind:
    def spec(config: Spec, study: str) -> Spec:
        return specs.ordered(shown(config, study) | {"figure": name})

    return JobKind(spec, ("study",), paths.STUDY, f"figures/{name}", needs, SCRIPT)


JOBS: dict[str, JobKind] = {
    "plot_robustness": _figure("robustness", TABLE, specs_tables.compared_figure_spec),
    "plot_tradeoff": _figure("tradeoff", TABLE, specs_tables.compared_figure_spec),
    "plot_compute": _figure("compute", COSTS, specs_tables.compared_figure_spec),
    "plot_curves": _figure("curves", TABLE | RECORDS),
    "plot_passes": _figure("passes", RECORDS),
    "plot_transfer": _figure("transfer", TABLE),
    "plot_bounds": _figure("bounds", TABLE),
    "plot_radii": _figure("radii", RECORDS),
    "plot_training": _figure("training", ALL_SPLITS | {"trainings": MODELS}),
    "plot_examples": _figure("examples", ALL_DATA | SHOWN),
    "plot_classes": _figure("classes", TABLE | RECORDS | ALL_DATA),
}
