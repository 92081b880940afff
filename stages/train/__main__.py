"""Train the network; an interrupted run resumes after its last finished epoch."""

import sys

import numpy as np
import pandas as pd

from stages.backend import archive, cpu, dense, determinism
from stages.backend.runtime import keras
from stages.common import inputs, params
from stages.common.files import write_table, write_text
from stages.common.paths import (
    HISTORY,
    MODEL,
    PORTABILITY,
    SUMMARY,
    VALIDATION,
    X_TRAIN,
    Y_TRAIN,
)
from stages.common.stage import CheckInputs, stage
from stages.train import checkpoint, seeding
from stages.train.batches import Batches
from stages.train.calibration import calibrate
from stages.train.fitting import (
    COLUMNS,
    best_epoch,
    check_network,
    compile_model,
    fit_epoch,
    freeze,
)
from stages.train.model import build, summarise
from stages.train.schema import ModelParams, TrainParams


def main(check_inputs: CheckInputs) -> None:
    seed = params.load("seed", params.Seed)
    network = params.load("model", ModelParams)
    train = params.load("train", TrainParams)
    images, labels = np.load(X_TRAIN, mmap_mode="r"), np.load(Y_TRAIN)
    own_validation = int(VALIDATION.read_text(encoding="utf-8"))
    batches = Batches(images, labels, seed, train, own_validation)

    determinism.pin(train.threads, train.precision, train.instructions, use_gpus=True)
    strategy = determinism.strategy()
    batches.check_shares(strategy.num_replicas_in_sync)
    with strategy.scope():
        keras.utils.set_random_seed(seed)  # for layers that draw_weights doesn't know
        model = build(network, images.shape[1:], batches.classes)
        check_network(model, train)
        dense.replace(model)
        seeding.draw_weights(model, seed)
        summary, portability = summarise(model), determinism.portability(model)
        compile_model(model, train, train.epochs * batches.steps)
    print(summary, determinism.describe(portability), sep="\n", flush=True)

    machine = "any" if portability in cpu.PORTABLE else determinism.machine()
    path = checkpoint.path_for(inputs.digest("train"), portability, machine, sys.version)
    check_inputs()  # so that what was just hashed is what was loaded
    checkpoint.prune(path)
    history, best = checkpoint.restore(path, model)
    if history:
        print(f"Resuming after epoch {len(history)} of {train.epochs}")

    validation = batches.validation()
    for epoch in range(len(history) + 1, train.epochs + 1):
        if train.patience and epoch - 1 - best_epoch(history) >= train.patience:
            print(f"Stopping: no lower validation loss since epoch {best_epoch(history)}")
            break
        write_table(HISTORY, pd.DataFrame(history, columns=COLUMNS), at_once=True)  # can be watched
        print(f"Epoch {epoch}/{train.epochs}", flush=True)
        seeding.seed_dropout(model, seed, epoch)
        if train.freeze_after is not None and epoch > train.freeze_after:
            freeze(model)
        history.append(fit_epoch(model, epoch, batches.epoch(epoch), validation))
        if train.keep == "best" and best_epoch(history) == epoch:
            best = model.get_weights()
        checkpoint.save(path, model, history, best)
        check_inputs()
    if train.keep == "best":
        print(f"Keeping epoch {best_epoch(history)}, which has the lowest validation loss")
        model.set_weights(best)
    if train.label_smoothing:
        calibrate(model, validation, batches.validation_labels())
    model.compile("sgd", model.loss, metrics=["accuracy"])  # saved without the optimizer's state

    archive.save(model, MODEL)
    write_text(SUMMARY, summary)
    write_text(PORTABILITY, f"{portability}\n")
    write_table(HISTORY, pd.DataFrame(history))


if __name__ == "__main__":
    with stage("train") as check_inputs:
        main(check_inputs)
