"""One stage to be measured, as a value and as plain JSON, and how it splits over processes. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.load.arrivals import ClosedLoop, peak_rate
from harness.load.lengths import mean_length
from harness.load.probe import Probe, probe_from_json
from harness.load.records import Endpoint
from harness.load.stage import Stage, stage_from_json
from harness.load.workload import Workload, workload_from_json
from harness.secret import Secret

# One process follows this many streams at 50 tokens per second each with room to spare.
STREAMS_PER_PROCESS = 256
TOKENS_PER_PROCESS = STREAMS_PER_PROCESS * 50
# Making, sending and reading a request of a few tokens takes a process about half a millisecond.
REQUESTS_PER_PROCESS = 500


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` (from 0) of ``of`` equal parts of a stage.

    It sends requests ``number``, ``number + of``, … of the whole stage, an open loop's at their own times: the parts
    together are the stage that one process would run.
    """

    number: int = 0
    of: int = 1

    def share(self, count: int) -> int:
        """This part's share of ``count``; the shares of all parts sum to it."""
        return count // self.of + (self.number < count % self.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadJob:
    """One stage to be measured.

    ``cache_salt`` None draws a fresh one. ``processes`` None takes as many as the load needs and the cores allow.
    """

    endpoint: Endpoint
    stage: Stage
    workload: Workload
    probe: Probe
    seed: int = 0
    cache_salt: str | None = None
    processes: int | None = None


def processes_for(job: LoadJob, *, cores: int) -> int:
    """How many processes of one machine a job is run by: those asked for, else what it needs and the cores allow."""
    return most_shards(job, job.processes or max(1, min(cores, _needed(job))))


def most_shards(job: LoadJob, wanted: int) -> int:
    """``wanted``, or as many parts as the job has users or requests when those are fewer."""
    arrivals = job.stage.arrivals
    users = arrivals.concurrency if isinstance(arrivals, ClosedLoop) else wanted
    return max(1, min(wanted, users, job.stage.requests or wanted))


def _needed(job: LoadJob) -> int:
    """Processes that follow the load with room to spare."""
    arrivals = job.stage.arrivals
    if isinstance(arrivals, ClosedLoop):
        users = min(arrivals.concurrency, job.stage.requests or arrivals.concurrency)
        return -(-users // STREAMS_PER_PROCESS)
    # A conversation arrives, and its turns come after one another.
    rate = peak_rate(arrivals) * mean_turns(job.workload)
    tokens = rate * mean_output_tokens(job.workload)
    return math.ceil(max(tokens / TOKENS_PER_PROCESS, rate / REQUESTS_PER_PROCESS))


def mean_turns(workload: Workload) -> float:
    """How many requests one arrival brings, on average and at most as many as the conversations given have."""
    conversations = workload.conversations
    if conversations is None:
        return 1.0
    wanted = math.inf if conversations.turns is None else mean_length(conversations.turns)
    given = [1 + len(item.later) for item in workload.items]
    return min(wanted, sum(given) / len(given)) if given else wanted


def mean_output_tokens(workload: Workload) -> float:
    """How long an answer will be, on average: as the prompts of a file say, else as the workload does."""
    given = [item.output_tokens for item in workload.items if item.output_tokens is not None]
    return sum(given) / len(given) if given else mean_length(workload.output_tokens)


def stage_part(stage: Stage, shard: Shard) -> Stage:
    """What one process does of a stage: its share of the users, requests and places in flight.

    An open loop keeps its arrivals: the whole timetable is drawn everywhere, and each part takes its own.
    """
    if shard.of == 1:
        return stage
    limit = None if stage.max_in_flight is None else max(1, shard.share(stage.max_in_flight))
    if not isinstance(stage.arrivals, ClosedLoop):
        return replace(stage, max_in_flight=limit)
    requests = None if stage.requests is None else max(1, shard.share(stage.requests))
    users = ClosedLoop(max(1, shard.share(stage.arrivals.concurrency)))
    return replace(stage, arrivals=users, requests=requests, max_in_flight=limit)


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard to be run somewhere: what is pickled, sent and run. Its content holds the key and is never shown."""

    shard: Shard
    content: bytes = field(repr=False)

    @staticmethod
    def of(job: LoadJob, shard: Shard) -> ShardTask:
        """The task of one part of ``job``."""
        described = {"job": job_to_json(job), "shard": [shard.number, shard.of]}
        return ShardTask(shard, json.dumps(described).encode())

    def read(self) -> tuple[LoadJob, Shard]:
        """What ``of`` was given."""
        described = json.loads(self.content)
        return job_from_json(described["job"]), Shard(*described["shard"])


def job_to_json(job: LoadJob) -> dict[str, Any]:
    """A job as plain JSON values, its key in clear: for the pipe to a child and nothing else."""
    key = job.endpoint.key
    return {
        "url": job.endpoint.url,
        "model": job.endpoint.model,
        "key": None if key is None else key.reveal(),
        "ca_file": job.endpoint.ca_file,
        "stage": job.stage.to_json(),
        "workload": job.workload.to_json(),
        "probe": job.probe.to_json(),
        "seed": job.seed,
        "cache_salt": job.cache_salt,
        "processes": job.processes,
    }


def job_from_json(data: Mapping[str, Any]) -> LoadJob:
    """The job ``job_to_json`` described."""
    key = None if data["key"] is None else Secret(data["key"])
    return LoadJob(
        endpoint=Endpoint(data["url"], data["model"], key, data["ca_file"]),
        stage=stage_from_json(data["stage"]),
        workload=workload_from_json(data["workload"]),
        probe=probe_from_json(data["probe"]),
        seed=data["seed"],
        cache_salt=data["cache_salt"],
        processes=data["processes"],
    )
