"""Trains on, with PyTorch under Ray Train, what was trained elsewhere: an epoch, data-parallel over worker processes.

    python train.py WEIGHTS DATA TRAINED REPORT

WEIGHTS and TRAINED are state dicts as safetensors, DATA holds the digits as main.ts wrote them. REPORT is written as
JSON: who trained on what, and what the module predicts for a few digits before and after.
"""

import json
import os
import secrets
import sys
import tempfile

# Ray's ports listen to the network, so they are to answer only those who have a token, which this run makes up and its
# processes inherit. Ray looks when it is imported.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

import ray
import torch
import torch.distributed as dist
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, prepare_data_loader, prepare_model
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WORKERS = 2
BATCH_SIZE = 32  # of each worker


class Model(nn.Module):
    """The model of main.ts; its attributes have the names of the layers there."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(28, 64, batch_first=True)
        self.norm = nn.BatchNorm1d(64)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        _, (h, _) = self.rnn(x)
        return self.fc(self.norm(h[-1]))


@torch.no_grad()
def predict(model, x):
    model.eval()
    outputs = model(x).tolist()
    model.train()
    return outputs


def train(config):
    """What each worker runs: the same weights, another share of the digits, and gradients that are averaged."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    data = load_file(config["data"])
    model = Model()
    model.load_state_dict(load_file(config["weights"]), strict=True)
    before = predict(model, data["few"])

    parallel = prepare_model(model)  # DistributedDataParallel around it
    digits = TensorDataset(data["x"], data["y"].long())
    # With a DistributedSampler, which deals the digits out; a batch of one would leave the norm without a variance.
    loader = prepare_data_loader(DataLoader(digits, batch_size=BATCH_SIZE, shuffle=True, drop_last=True))
    optimizer = torch.optim.Adam(parallel.parameters(), lr=1e-3)
    seen, total = 0, 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(parallel(x), y)
        loss.backward()
        optimizer.step()
        seen, total = seen + len(y), total + loss.item() * len(y)

    rank = ray.train.get_context().get_world_rank()
    # The statistics of the norm are each worker's own; those of rank 0 are kept, so the rest is what must be equal.
    weights = sum(p.detach().double().abs().sum().item() for p in model.parameters())
    mine = {"rank": rank, "pid": os.getpid(), "digits": seen, "loss": total / seen, "weights": weights}
    workers = [None] * dist.get_world_size()
    dist.all_gather_object(workers, mine)
    if rank == 0:
        save_file(model.state_dict(), config["trained"])
        report = {"before": before, "after": predict(model, data["few"]), "workers": workers}
        with open(config["report"], "w") as file:
            json.dump(report, file)
    ray.train.report({"loss": total / seen})


if __name__ == "__main__":
    weights, data, trained, report = map(os.path.abspath, sys.argv[1:])
    # A cluster of this machine alone; one of several is `ray.init(address=...)`.
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as storage:  # Ray's own notes on the run
        trainer = TorchTrainer(
            train,
            train_loop_config={"weights": weights, "data": data, "trained": trained, "report": report},
            scaling_config=ScalingConfig(num_workers=WORKERS, use_gpu=False),
            run_config=RunConfig(storage_path=storage),
        )
        trainer.fit()
        ray.shutdown()
