"""The heads of a batch on the workers of a Dask scheduler: each a task of its own, tried again where a worker fails.

Needs Dask distributed here and on the workers, the same models, and one file system for all.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from decnn.catalog import available_models
from decnn.cli.cancel import Stop
from decnn.cli.guarded import Guard
from decnn.cli.plan import Job
from decnn.cli.progress import Reporter
from decnn.cli.single import ModelOnDemand, make, write
from decnn.cli.summary import Outcome
from decnn.errors import DecnnError, InputError, SetupError
from decnn.steps import silent

RETRIES = 2
"""How often a head is tried again after an error that another machine, or another time, may not have."""
_TIMEOUT_S = 30

# Of a worker: its models, one network at a time, and a reader for each of its threads.
_MODELS: dict[str, ModelOnDemand] = {}
_NETWORK = threading.Lock()
_OWN = threading.local()


def run_on_cluster(
    address: str, jobs: list[Job], reporter: Reporter, stop: Stop, add: Callable[[Outcome], None]
) -> None:
    """Has each job done by some worker.

    Args:
        address: of the scheduler, such as tcp://host:8786.
        jobs: in the order in which they are handed out.
        reporter: told of each head when it has ended.
        stop: heard at any time; then workers still finish the heads that they are at.
        add: takes what became of each job, once it is known.

    Raises:
        SetupError: Dask distributed is missing, or the scheduler does not answer.
        Cancelled: after a signal.
    """
    distributed = _import_distributed()
    stop.listen()
    reporter.progress(0.0, "Looking for the scheduler")
    try:
        client = distributed.Client(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"The Dask scheduler {address} does not answer ({error}): start it with 'dask scheduler', and give the "
            "address that it prints.",
            code="scheduler",
        ) from error
    with client:
        reporter.progress(0.0, "Waiting for workers")
        waiting = {
            client.submit(work, _absolute(job), key=f"decnn-{number}-{job.output}", retries=RETRIES, pure=False): job
            for number, job in enumerate(jobs)
        }
        try:
            for number, future in enumerate(distributed.as_completed(list(waiting), loop=client.loop)):
                job = waiting[future]
                outcome = _outcome_of(future, job)
                stop.hold()
                add(outcome)
                del waiting[future]
                _tell(outcome, number, len(jobs), reporter)
                stop.listen()
        finally:
            stop.hold()
            if waiting:
                client.cancel(list(waiting))


def work(job: Job) -> Outcome:
    """One head, on a worker; several threads of it read and write while one has the network.

    Raises:
        DecnnError: what another worker may not have; Dask then tries again.
    """
    start = time.monotonic()
    guard = vars(_OWN).setdefault("guard", Guard())
    try:
        answer = guard.prepare(job.source, job.choice, job.known())
        if answer.ready is None:
            return job.skipped()
        with _NETWORK:
            model = _MODELS.setdefault(job.options.model, ModelOnDemand(job.options.model))
            if model.get(silent).weights_sha256 != job.weights_sha256:
                raise SetupError(
                    f"A worker has another version of model {job.options.model}: install the same MRtoCT everywhere.",
                    code="model",
                )
            made = make(answer.ready, model, job.options, silent, lambda: False)
        facts = write(made, job.output, job.confidence)
        return job.done(facts["findings"], time.monotonic() - start, answer.sha256)
    except InputError as error:
        return job.failed(error, time.monotonic() - start)


def _absolute(job: Job) -> Job:
    """The same for a process in another folder."""
    model = job.options.model
    if model not in available_models():
        model = str(Path(model).resolve())
    return replace(job, source=os.path.abspath(job.source), options=replace(job.options, model=model))


def _outcome_of(future: Any, job: Job) -> Outcome:
    try:
        outcome: Outcome = future.result()
        return replace(outcome, input=job.source)
    except DecnnError as error:
        return job.failed(error, 0.0)
    except Exception as error:  # of Dask: the workers died, or lack a package
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        failure = SetupError(f"No worker could make it ({why}): see the workers' logs, and run again.", code="worker")
        return job.failed(failure, 0.0)


def _tell(outcome: Outcome, number: int, count: int, reporter: Reporter) -> None:
    reporter.enter(outcome.input, number, count)
    if outcome.exit_code:
        code, _, message = outcome.message.partition("] ")
        reporter.error(code.removeprefix("["), outcome.exit_code, message)
    else:
        reporter.published()
        facts = {"output": outcome.output, "seconds": outcome.seconds, "weights_sha256": outcome.weights_sha256}
        reporter.result(facts, f"{'Wrote' if outcome.status == 'done' else 'Skipped'} {outcome.output}")
    reporter.progress(1.0, f"{number + 1} of {count} heads")


def _import_distributed() -> ModuleType:
    try:
        import distributed
    except ImportError as error:
        raise SetupError(
            f"Dask distributed cannot be loaded ({error}): run 'pip install mrtoct[cluster]' here and on the workers.",
            code="installation",
        ) from error
    return distributed
