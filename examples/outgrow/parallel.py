"""Trains a cell of the user's own, data-parallel: Ray starts the workers and averages their gradients.

    python parallel.py DENO DIGITS CHECKPOINT REPORT [KILL_AT]

Every worker is an actor of Ray with a Deno process (worker.ts) that computes gradients on its share of a batch. The
actors average them with Ray's collective operations. Where a worker is lost, all are started again and go on from the
checkpoint. With KILL_AT, the worker of rank 1 is killed at that update, once. REPORT is written as JSON: who
computed what, from which update on, each time that the workers were started.
"""

import json
import os
import secrets
import signal
import struct
import subprocess
import sys
import tempfile

# Ray's ports listen to the network, so they are to answer only those who have a token, which this run makes up and its
# processes inherit. Ray looks when it is imported.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

import numpy as np
import ray
from ray.util import collective
from safetensors import safe_open
from safetensors.numpy import load, save

WORKERS = 2
MOST_STARTS = 3
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.ts")


def receive(stream):
    """The next safetensors file of a worker; None where it has ended."""
    prefix = stream.read(4)
    if len(prefix) < 4:
        return None
    (length,) = struct.unpack("<I", prefix)
    data = stream.read(length)
    return data if len(data) == length else None


def send(stream, data):
    stream.write(struct.pack("<I", len(data)) + data)
    stream.flush()


def metadata_of(data):
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])["__metadata__"]


@ray.remote(num_cpus=1)
class Worker:
    def train(self, rank, group, deno, digits, checkpoint, kill_at):
        """The losses by update, as this worker's share of the batches has them."""
        collective.init_collective_group(WORKERS, rank, backend="gloo", group_name=group)
        folder = os.path.dirname(checkpoint)
        rights = ["--allow-read", f"--allow-write={folder}", "--no-prompt"]
        command = [deno, "run", *rights, WORKER, str(rank), str(WORKERS), digits, checkpoint]
        losses = {}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with tempfile.TemporaryFile() as errors, subprocess.Popen(command, stderr=errors, **pipes) as process:
            while (data := receive(process.stdout)) is not None:
                about = metadata_of(data)
                update = int(about["update"])
                if update == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                losses[update] = float(about["loss"])
                # In the order of their names, which is the same in all workers; as one vector, so that one message
                # is enough.
                gradients = dict(sorted(load(data).items()))
                together = np.concatenate([gradient.ravel() for gradient in gradients.values()])
                collective.allreduce(together, group)
                together /= WORKERS
                ends = np.cumsum([gradient.size for gradient in gradients.values()])
                means = zip(gradients.items(), np.split(together, ends[:-1]))
                send(process.stdin, save({name: mean.reshape(like.shape) for (name, like), mean in means}))
            if process.wait() != 0:
                errors.seek(0)
                text = errors.read().decode(errors="replace")
                raise RuntimeError(f"the Deno process of rank {rank} fails with status {process.returncode}:\n{text}")
        return {"rank": rank, "pid": os.getpid(), "losses": losses}


def updates_in(checkpoint):
    if not os.path.exists(checkpoint):
        return 0
    with safe_open(checkpoint, framework="numpy") as file:
        return int(file.metadata()["updates"])


def start(number, deno, digits, checkpoint, kill_at):
    """Starts all workers and waits for them; what they report, or the error where one is lost."""
    workers = [Worker.remote() for _ in range(WORKERS)]
    try:
        pending = [
            worker.train.remote(rank, f"start-{number}", deno, digits, checkpoint, kill_at if rank == 1 else None)
            for rank, worker in enumerate(workers)
        ]
        reports = []
        while pending:
            done, pending = ray.wait(pending)  # the first to end, so that a lost one is seen at once
            reports += ray.get(done)
        return sorted(reports, key=lambda report: report["rank"]), None
    except ray.exceptions.RayError as error:
        return None, error
    finally:
        for worker in workers:
            ray.kill(worker)


if __name__ == "__main__":
    deno, digits, checkpoint, report = sys.argv[1:5]
    kill_at = int(sys.argv[5]) if len(sys.argv) > 5 else None
    # A cluster of this machine alone; one of several is `ray.init(address=...)`.
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    starts = []
    for number in range(MOST_STARTS):
        begins = updates_in(checkpoint)
        reports, error = start(number, deno, digits, checkpoint, kill_at if number == 0 else None)
        starts.append({"from": begins, "lost": error and type(error).__name__, "workers": reports or []})
        if reports:
            break
    ray.shutdown()
    if not reports:
        raise SystemExit(f"a worker was lost each of {MOST_STARTS} times: {error}")
    with open(report, "w") as file:
        json.dump(starts, file)
