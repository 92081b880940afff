"""Train the network; an interrupted run resumes after its last finished epoch."""

import math
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stages.backend import archive, cpu, runtime
from stages.common import params
from stages.common.errors import run_stage
from stages.common.files import write_table, write_text
from stages.common.paths import HISTORY, MODEL, REQUIREMENTS, SUMMARY, X_TRAIN, Y_TRAIN
from stages.train import checkpoint, seeding
from stages.train.batches import Batches, augment, check_shares, feed, gather, make_targets, split
from stages.train.fitting import COLUMNS, calibrate, compile_model, fit_epoch, freeze
from stages.train.model import build, summarise
from stages.train.schema import ModelParams, TrainParams

# What dvc.yaml declares: a checkpoint is valid as long as these are unchanged.
CODE = [Path("stages", folder) for folder in ("train", "backend", "common")]
INPUTS = [REQUIREMENTS, X_TRAIN, Y_TRAIN, *CODE]


def main() -> None:
    seed = params.load("seed", params.Seed)
    network = params.load("model", ModelParams)
    train = params.load("train", TrainParams)
    images, labels = np.load(X_TRAIN, mmap_mode="r"), np.load(Y_TRAIN)
    rows, held_out = split(len(labels), train)
    classes = int(labels.max()) + 1
    targets, whole_targets = make_targets(classes, train.label_smoothing)
    size = train.batch_size
    steps = min(math.ceil(len(rows) / size), train.steps_per_epoch or len(rows))

    runtime.pin(train.threads, train.precision, use_gpus=True)
    strategy = runtime.strategy()
    devices = strategy.num_replicas_in_sync
    check_shares(train, devices, rows, held_out)
    with strategy.scope():
        model = build(network, images.shape[1:], classes)
        seeding.draw_weights(model, seed)
        summary = summarise(model)
        compile_model(model, train, train.epochs * steps)
    print(summary, runtime.describe(), sep="\n", flush=True)

    def training(epoch: int) -> Batches:
        order = np.random.default_rng(seeding.stream(seed, epoch)).permutation(rows)
        batches = gather(images, labels, targets, order[: steps * size], size)
        return augment(batches, train.augmentation.translation, seed, epoch)

    validation = partial(gather, images, labels, whole_targets, held_out, size)
    # In bfloat16 the bytes depend on the type of the CPU.
    cpu_model = cpu.model_name() if train.precision != "float32" else None
    path = checkpoint.path_for((seed, network, train, sys.version, devices, cpu_model), INPUTS)
    with checkpoint.exclusive(path):
        history = checkpoint.restore(path, model)
        if history:
            print(f"Resuming after epoch {len(history)} of {train.epochs}")
        validating = feed(validation, math.ceil(len(held_out) / size))
        for epoch in range(len(history) + 1, train.epochs + 1):
            write_table(HISTORY, pd.DataFrame(history, columns=COLUMNS))  # can be watched
            print(f"Epoch {epoch}/{train.epochs}", flush=True)
            seeding.seed_dropout(model, seed, epoch)
            if train.freeze_after is not None and epoch > train.freeze_after:
                freeze(model)
            batches = feed(partial(training, epoch), steps)
            history.append(fit_epoch(model, epoch, batches, validating))
            checkpoint.save(path, model, history)
        if train.label_smoothing:
            history[-1]["val_loss"] = calibrate(model, validating, labels[held_out])
        write_table(HISTORY, pd.DataFrame(history))
        model.compile("sgd", model.loss, ["accuracy"])  # saved without the optimizer's state
        archive.save(model, MODEL)
        write_text(SUMMARY, summary)


if __name__ == "__main__":
    run_stage("train", main)
