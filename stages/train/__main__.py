"""Train the network; an interrupted run resumes after its last finished epoch."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from stages.backend import archive, cpu, runtime
from stages.common import params
from stages.common.errors import run_stage
from stages.common.files import write_table, write_text
from stages.common.paths import HISTORY, MODEL, REQUIREMENTS, SUMMARY, X_TRAIN, Y_TRAIN
from stages.train import checkpoint, seeding
from stages.train.batches import Batches, TrainingBatches, check_shares, split
from stages.train.fitting import History, compile_model, fit
from stages.train.model import build, summarise
from stages.train.schema import ModelParams, TrainParams

# What dvc.yaml declares: a checkpoint is good for the same inputs as the stage's outputs are.
INPUTS = [REQUIREMENTS, X_TRAIN, Y_TRAIN]
INPUTS += [Path("stages/train"), Path("stages/backend"), Path("stages/common")]


def main() -> None:
    seed = params.load("seed", params.Seed)
    network = params.load("model", ModelParams)
    train = params.load("train", TrainParams)
    images, labels = np.load(X_TRAIN, mmap_mode="r"), np.load(Y_TRAIN)
    rows, held_out = split(len(labels), train)

    runtime.pin(train.threads, train.precision, use_gpus=True)
    strategy = runtime.strategy()
    devices = strategy.num_replicas_in_sync
    check_shares(train, devices, [rows, held_out])
    classes = int(labels.max()) + 1
    one_hot = classes if train.label_smoothing else None
    batches = TrainingBatches(
        images,
        labels,
        rows,
        train.batch_size,
        one_hot,
        seed=seed,
        translation=train.augmentation.translation,
        smoothing=train.label_smoothing,
    )
    validation = Batches(images, labels, held_out, train.batch_size, one_hot)
    with strategy.scope():
        model = build(network, images.shape[1:], classes)
        seeding.draw_weights(model, seed)
        summary = summarise(model)
        compile_model(model, train, steps=train.epochs * len(batches))
    print(summary)
    print(runtime.describe(), flush=True)

    # In bfloat16 the bytes depend on the type of the CPU.
    cpu_model = cpu.model_name() if train.precision != "float32" else None
    machine = sys.version, devices, cpu_model
    path = checkpoint.path_for((seed, network, train, machine), INPUTS)

    def keep(history: History) -> None:
        checkpoint.save(path, model, history)
        write_table(HISTORY, pd.DataFrame(history))  # whoever plots it sees the training go on

    with checkpoint.exclusive(path):
        history = checkpoint.restore(path, model)
        if history:
            print(f"Resuming after epoch {len(history)} of {train.epochs}", flush=True)
            keep(history)
        fit(model, batches, validation, train.epochs, history, keep)
        archive.save(model, MODEL)
        write_text(SUMMARY, summary)


if __name__ == "__main__":
    run_stage("train", main)
