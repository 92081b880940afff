"""What the pipeline is measured against: the tutorial's whole work in one process, nothing kept.

Loads MNIST, trains the same network with Keras's `fit` on arrays, evaluates, predicts, draws.
"""

import gzip
import sys
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from keras import layers


def read(name: str, offset: int, *shape: int) -> np.ndarray:
    """Return a file of the data set as uint8 of `shape`; an IDX header is `offset` bytes long."""
    content = gzip.decompress(Path(f"data/raw/mnist/{name}-ubyte.gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=offset).reshape(-1, *shape)


keras.utils.set_random_seed(42)
x_train = read("train-images-idx3", 16, 28, 28, 1).astype("float32") / 255
y_train = read("train-labels-idx1", 8)
x_test = read("t10k-images-idx3", 16, 28, 28, 1).astype("float32") / 255
y_test = read("t10k-labels-idx1", 8)

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(32, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
options = {"batch_size": 128, "epochs": int(sys.argv[1]), "validation_split": 0.1, "verbose": 2}
history = model.fit(x_train, y_train, **options).history
model.save("baseline.keras")
print(model.evaluate(x_test, y_test, verbose=0))

predicted = model.predict(x_test, verbose=0).argmax(axis=1)
pd.DataFrame(history).plot(subplots=[("loss", "val_loss"), ("accuracy", "val_accuracy")])
plt.savefig("history.png")
plt.figure(figsize=(7, 7))
sns.heatmap(pd.crosstab(y_test, predicted), annot=True, fmt="d", cbar=False)
plt.savefig("confusion_matrix.png")
_, axes = plt.subplots(4, 8, figsize=(10, 6))
for i, axis in enumerate(axes.flat):
    axis.imshow(model.layers[0].kernel[..., 0, i], cmap="RdBu")
    axis.set_title(f"Kernel {i}", fontsize="small")
    axis.set_axis_off()
plt.savefig("kernels.png")
