"""Every path of the pipeline, relative to the folder that dvc.yaml is in."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
RAW = Path("data/raw")  # a folder for each data set

X_TRAIN = Path("data/prepared/x_train.npy")
Y_TRAIN = Path("data/prepared/y_train.npy")
VALIDATION = Path("data/prepared/validation.txt")  # how many of the last training images it is
X_TEST = Path("data/prepared/x_test.npy")
Y_TEST = Path("data/prepared/y_test.npy")
CLASSES = Path("data/prepared/classes.txt")
FILES = Path("data/prepared/files.json")  # which picture each row of the images is
COPIES = Path("data/prepared/copies.csv")  # test images that are nearly training images
PICTURES = Path("data/prepared/pictures.json")  # how predict prepares a picture

MODEL = Path("models/model.keras")
TFLITE = Path("models/model.tflite")  # predict reads it
SUMMARY = Path("models/summary.txt")
PORTABILITY = Path("models/portability.txt")  # whether other CPUs would give the same bytes
HISTORY = Path("reports/history.csv")
CHECKPOINTS = Path(".checkpoints")  # undeclared: DVC removes a stage's outputs before it runs
LOCK = Path(".checkpoints/lock")  # held by the stage that runs in this folder

METRICS = Path("reports/metrics.json")
PROBABILITIES = Path("reports/probabilities.npy")
PREDICTIONS = Path("reports/predictions.csv")
MISTAKES = Path("reports/mistakes.csv")  # in git: a comparison of revisions needs no pull
CLASS_SCORES = Path("reports/class_scores.csv")
CALIBRATION = Path("reports/calibration.csv")
TRUST = Path("reports/trust.csv")
DOUBTS = Path("reports/doubts.csv")
MAPS = Path("reports/maps.npy")  # where the model looked in the mistakes that the page shows
KERNELS = Path("reports/kernels.npy")

FIGURES = Path("reports/figures")
PAGE = Path("reports/index.html")
TRY = Path("reports/try.html")
