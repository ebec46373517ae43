"""Many MR files in, as many CT files out, and a table of how each one went."""

from typing import TYPE_CHECKING

from decnn.cli.cancel import Stop
from decnn.cli.plan import plan
from decnn.cli.progress import Reporter
from decnn.cli.summary import Outcome
from decnn.errors import Cancelled
from decnn.options import Options

if TYPE_CHECKING:
    from decnn.io.dicom_read import Choice


def synthesize_all(
    inputs: list[str],
    folder: str,
    options: Options,
    reporter: Reporter,
    stop: Stop,
    *,
    debug: bool = False,
    choice: "Choice | None" = None,
    overwrite: bool = False,
    scheduler: str | None = None,
) -> int:
    """Makes the synthetic CT of each input in ``folder`` (made if need be); one that fails does not stop the others.

    Where ``options`` want confidence maps, each goes to <name>_confidence.nrrd. However it ends, ``folder``/summary.csv
    tells what became of each input. What an earlier run has made of the same bytes by the same model and options is
    skipped, unless ``overwrite``. Each input is read in a child (``decnn.cli.guarded``), as some damaged files end the
    process that reads them.

    Args:
        scheduler: address of a Dask scheduler, whose workers do the work; if not given, this process does.

    Returns:
        0 if all went well, else the exit code of the first failure.

    Raises:
        InputError: see ``decnn.cli.plan.plan``.
        SetupError: the summary cannot be written, or there is no such scheduler.
        Cancelled: a signal ended it.
    """
    jobs, summary = plan(inputs, folder, options, choice, overwrite)
    stop.left = f"the CTs that are there are listed in {summary.path}"
    outcomes: dict[str, Outcome] = {}

    def add(outcome: Outcome) -> None:
        outcomes[outcome.input] = outcome
        summary.add(outcome)
        summary.keep()

    try:
        if scheduler is None:
            from decnn.cli.pipeline import Pipeline

            Pipeline(jobs, options, reporter, stop, add, debug).run()
        else:
            from decnn.cli.cluster import run_on_cluster

            run_on_cluster(scheduler, jobs, reporter, stop, add)
    finally:
        stop.hold()
        for name in inputs:  # in their order, however they came
            summary.add(outcomes.get(name) or Outcome(name, "", "cancelled", Cancelled.exit_code, 0.0, ""))
        summary.write()
    reporter.published()
    reporter.progress(1.0, "Done")
    failures = [outcomes[name] for name in inputs if outcomes[name].exit_code]
    skipped = sum(outcome.status == "skipped" for outcome in outcomes.values())
    facts = {"summary": str(summary.path), "inputs": len(inputs), "failures": len(failures), "skipped": skipped}
    worked = f"{len(inputs) - len(failures)} of {len(inputs)} worked"
    reporter.summary(facts, f"{worked}{f' ({skipped} in an earlier run)' if skipped else ''}; see {summary.path}")
    return failures[0].exit_code if failures else 0
