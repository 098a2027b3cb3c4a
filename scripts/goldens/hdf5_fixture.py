"""Makes tests/fixtures/hdf5: a weight file laid out as Keras 2 wrote Matterport's, with h5py, and its values.

    python scripts/goldens/hdf5_fixture.py tests/fixtures/hdf5
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

folder = Path(sys.argv[1])
rng = np.random.default_rng(3)
layers = {"conv1": {"kernel:0": (7, 7, 3, 2), "bias:0": (2,)}, "bn_conv1": {f"{n}:0": (2,) for n in ("gamma", "beta", "moving_mean", "moving_variance")}}
layers |= {f"res2{c}_branch2a": {"kernel:0": (1, 1, 2, 3), "bias:0": (3,)} for c in "abcdefghijklmnopqrstuvw"}
values = {}
with h5py.File(folder / "keras.h5", "w", libver="earliest") as f:
    f.attrs["layer_names"] = np.array([name.encode() for name in layers])
    f.attrs["backend"] = b"tensorflow"
    for layer, weights in layers.items():
        group = f.create_group(layer)
        group.attrs["weight_names"] = np.array([f"{layer}/{w}".encode() for w in weights])
        for weight, shape in weights.items():
            value = rng.integers(-64, 64, shape).astype("float32") / 8
            group.create_dataset(f"{layer}/{weight}", data=value)
            values[f"{layer}/{layer}/{weight}"] = {"shape": list(shape), "values": value.flatten().tolist()}
    f.create_group("empty_layer")
    f["optimizer/half"] = np.array([0.5, -2], dtype=">f2")
    f["optimizer/iterations"] = np.int64(7)
    f["optimizer/name"] = "adam"
with h5py.File(folder / "chunked.h5", "w", libver="earliest") as f:
    big = rng.integers(-64, 64, (9, 70, 5)).astype("float32") / 8
    for name, value, options in [
        ("plain", big[:4, :4, 0], {"chunks": (2, 3)}),
        ("gzip", big[:, :, 0], {"chunks": (4, 32), "compression": "gzip"}),
        ("shuffled", big, {"chunks": (4, 16, 5), "compression": "gzip", "shuffle": True, "fletcher32": True}),
        ("many", big[:, 0, 0], {"chunks": (1,)}),
        ("vector/half", big[0, :, 0].astype("float16"), {"chunks": (16,), "compression": "gzip", "shuffle": True}),
    ]:
        f.create_dataset(name, data=value, **options)
        values[f"chunked.h5/{name}"] = {"shape": list(value.shape), "values": value.flatten().tolist()}
    f.create_dataset("unwritten", shape=(3, 2), dtype="float32", chunks=(2, 2))
    values["chunked.h5/unwritten"] = {"shape": [3, 2], "values": [0] * 6}
with h5py.File(folder / "lzf.h5", "w", libver="earliest") as f:
    f.create_dataset("a", data=np.zeros((4, 4), "float32"), chunks=(2, 2), compression="lzf")
(folder / "values.json").write_text(json.dumps(values) + "\n")
