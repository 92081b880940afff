"""Every path of the pipeline, relative to the folder that dvc.yaml is in."""

from pathlib import Path

PARAMS = Path("params.yaml")
REQUIREMENTS = Path("requirements.txt")
RAW = Path("data/raw")  # a folder for each data set

X_TRAIN = Path("data/prepared/x_train.npy")
Y_TRAIN = Path("data/prepared/y_train.npy")
X_TEST = Path("data/prepared/x_test.npy")
Y_TEST = Path("data/prepared/y_test.npy")
CLASSES = Path("data/prepared/classes.txt")
PICTURES = Path("data/prepared/pictures.json")  # how predict prepares a picture

MODEL = Path("models/model.keras")
SUMMARY = Path("models/summary.txt")
HISTORY = Path("reports/history.csv")
CHECKPOINTS = Path(".checkpoints")  # undeclared: DVC removes a stage's outputs before it runs

METRICS = Path("reports/metrics.json")
PROBABILITIES = Path("reports/probabilities.npy")
PREDICTIONS = Path("reports/predictions.csv")
MISTAKES = Path("reports/mistakes.csv")  # in git: a comparison of revisions needs no pull
CLASS_SCORES = Path("reports/class_scores.csv")
CALIBRATION = Path("reports/calibration.csv")
KERNELS = Path("reports/kernels.npy")

FIGURES = Path("reports/figures")
PAGE = Path("reports/index.html")
