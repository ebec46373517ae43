"""Heads one after another on this machine: while the network works, the next is prepared and the last one written."""

import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from decnn.cli.cancel import Stop
from decnn.cli.guarded import Answer, Guard
from decnn.cli.plan import Job
from decnn.cli.progress import Reporter
from decnn.cli.single import Made, ModelOnDemand, in_words, make, write
from decnn.cli.summary import Outcome
from decnn.errors import Cancelled, DecnnError, explain
from decnn.options import Options


@dataclass(frozen=True)
class _Writing:
    """A CT on its way to its file."""

    job: Job
    facts: "Future[dict[str, Any]]"
    sha256: str
    seconds: float
    """Of reading and making it."""


class Pipeline:
    """Reads ahead by one head and writes behind by one: at most three heads are in memory.

    Args:
        jobs: in the order of their turns.
        options: those of all jobs.
        reporter: told of each head by its name.
        stop: heard between and within heads.
        add: takes what became of each job, once it is known.
        debug: print the traceback of a failure.
    """

    def __init__(
        self,
        jobs: list[Job],
        options: Options,
        reporter: Reporter,
        stop: Stop,
        add: Callable[[Outcome], None],
        debug: bool,
    ) -> None:
        self._jobs = jobs
        self._model = ModelOnDemand(options.model)
        self._reporter = reporter
        self._stop = stop
        self._add = add
        self._debug = debug
        self._writing: _Writing | None = None

    def run(self) -> None:
        """Raises Cancelled after a signal; a CT that is being written then is still written, and counts."""
        # Left from right to left: what is being written is finished, a read that hangs is ended.
        with ThreadPoolExecutor(1) as reader, Guard() as guard, ThreadPoolExecutor(1) as writer:
            try:
                following = reader.submit(_read, guard, self._jobs[0])
                for number, job in enumerate(self._jobs):
                    self._stop.listen()
                    self._reporter.enter(job.source, number, len(self._jobs))
                    self._reporter.progress(0.0, "Reading the MR")
                    self._model.prepare()
                    wait([reading := following])
                    if number + 1 < len(self._jobs):
                        following = reader.submit(_read, guard, self._jobs[number + 1])
                    self._turn(job, reading, writer)
                self._end_writing()
            finally:
                self._stop.hold()
                self._end_writing(tell=False)

    def _turn(self, job: Job, reading: "Future[Answer]", writer: ThreadPoolExecutor) -> None:
        start = time.monotonic()
        seconds = 0.0
        try:
            answer = reading.result()
            seconds = answer.seconds
            if answer.error is not None:
                raise answer.error
            if answer.ready is None:
                self._add(job.skipped())
                return
            for finding in answer.ready.head.findings:
                self._reporter.finding(finding)
            made = make(answer.ready, self._model, job.options, self._reporter.progress, lambda: self._stop.requested)
            for finding in made.result.findings[len(answer.ready.head.findings) :]:
                self._reporter.finding(finding)
            self._reporter.progress(0.97, "Writing the CT")
        except Exception as error:
            # A signal from here on stops the next input: this one has failed, not been cancelled.
            self._stop.hold()
            if self._stop.requested or isinstance(error, Cancelled | BrokenPipeError):
                raise
            self._fail(job, error, seconds + time.monotonic() - start)
            return
        self._end_writing()
        self._stop.hold()  # or a signal would lose sight of what is begun here
        seconds += time.monotonic() - start
        self._writing = _Writing(job, writer.submit(_write, made, job), answer.sha256, seconds)

    def _end_writing(self, tell: bool = True) -> None:
        """Waits for the file that is being written, if there is one, and adds what became of it."""
        if self._writing is None:
            return
        wait([self._writing.facts])
        self._stop.hold()
        writing, self._writing = self._writing, None
        if tell:
            self._reporter.about(writing.job.source)
        if (error := writing.facts.exception()) is not None:
            self._fail(writing.job, error, writing.seconds, tell)
            return
        facts = writing.facts.result()
        facts["seconds"] = round(facts["seconds"] + writing.seconds, 2)
        self._add(writing.job.done(facts["findings"], facts["seconds"], writing.sha256))
        if tell:
            self._reporter.published()
            self._reporter.result(facts, in_words(facts))

    def _fail(self, job: Job, error: BaseException, seconds: float, tell: bool = True) -> None:
        if self._debug:
            traceback.print_exception(error)
        failure = explain(error)
        self._add(job.failed(failure, seconds))
        if tell:
            self._reporter.error(failure.code, failure.exit_code, str(failure))


def _read(guard: Guard, job: Job) -> Answer:
    start = time.monotonic()
    try:
        return guard.prepare(job.source, job.choice, job.known())
    except DecnnError as error:
        return Answer(error=error, seconds=time.monotonic() - start)


def _write(made: Made, job: Job) -> dict[str, Any]:
    start = time.monotonic()
    facts = write(made, job.output, job.confidence)
    return {**facts, "seconds": time.monotonic() - start}
