"""What the pipeline is measured against: a typical tutorial's work in one process, with `fit`."""

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from keras import layers

from stages.common import params
from stages.prepare import idx

epochs = params.load_all()["train"]["epochs"]
raw = Path("data/raw/mnist")

keras.utils.set_random_seed(42)
x_train = idx.read_array(raw / "train-images-idx3-ubyte.gz", 3)[..., None].astype("float32") / 255
y_train = idx.read_array(raw / "train-labels-idx1-ubyte.gz", 1)
x_test = idx.read_array(raw / "t10k-images-idx3-ubyte.gz", 3)[..., None].astype("float32") / 255
y_test = idx.read_array(raw / "t10k-labels-idx1-ubyte.gz", 1)

model = keras.Sequential([keras.Input((28, 28, 1))])
for filters in 32, 64:
    model.add(layers.Conv2D(filters, 3, activation="relu"))
    model.add(layers.MaxPooling2D())
model.add(layers.Flatten())
model.add(layers.Dropout(0.5))
model.add(layers.Dense(32, activation="relu"))
model.add(layers.Dropout(0.5))
model.add(layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
fitted = model.fit(x_train, y_train, 128, epochs, verbose=2, validation_split=0.1)
model.save("baseline.keras")
print(model.evaluate(x_test, y_test, verbose=0))

predicted = model.predict(x_test, verbose=0).argmax(axis=1)
pd.DataFrame(fitted.history).plot(subplots=[("loss", "val_loss"), ("accuracy", "val_accuracy")])
plt.savefig("history.png")
plt.figure(figsize=(7, 7))
sns.heatmap(pd.crosstab(y_test, predicted), annot=True, fmt="d", cbar=False)
plt.savefig("confusion_matrix.png")
_, axes = plt.subplots(4, 8, figsize=(10, 6))
for i, axis in enumerate(axes.flat):
    axis.imshow(model.layers[0].kernel[..., 0, i], cmap="RdBu")
    axis.set(title=f"Kernel {i}", xticks=[], yticks=[])
plt.savefig("kernels.png")
