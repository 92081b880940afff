"""Write the model for use elsewhere: as a TFLite file, and as a page to try it on."""

import json

import numpy as np

from stages.backend import archive, determinism, inference
from stages.common import paths
from stages.common.files import load_names, md5, write_bytes, write_text
from stages.common.stage import stage
from stages.export import litert, page
from stages.export.network import InexpressibleError, describe


def main() -> None:
    names = load_names(paths.CLASSES)
    preparation = json.loads(paths.PICTURES.read_text(encoding="utf-8"))
    images, labels = np.load(paths.X_TEST, mmap_mode="r"), np.load(paths.Y_TEST)
    determinism.pin(threads=1)
    model = archive.load(paths.MODEL)

    exported = litert.pack(litert.convert(model), paths.MODEL, names, preparation)
    found = litert.run(exported, images)
    litert.compare(found, inference.predict(model, images))
    print(f"{paths.TFLITE}: {len(exported):,} bytes, the same answers as {paths.MODEL}")
    data, reason = None, ""
    try:
        layers, weights = describe(model)
        data = {
            "classes": names,
            "shape": preparation["shape"],
            "drawn": preparation["centre_ink"],
            "layers": layers,
            "weights": page.encode(weights),
            "samples": page.pick(images, labels),
        }
    except InexpressibleError as error:
        reason = str(error)
        print(f"{paths.TRY}: written without the network, which has {reason}")
    document = page.render(
        data=data, reason=reason, names=names, shape=preparation["shape"], md5=md5(paths.MODEL)
    )

    write_bytes(paths.TFLITE, exported)
    write_text(paths.TRY, document)


if __name__ == "__main__":
    with stage("export"):
        main()
