"""Makes tests/fixtures/matterport: a narrow Mask R-CNN with Matterport's graph and names as Keras' .h5, and what TensorFlow finds with it.

    python scripts/goldens/matterport_golden.py tests/fixtures/matterport

Needs tensorflow 2.21, numpy, h5py, pillow, scikit-image 0.26 and safetensors. The graph of Matterport's code has fixed widths (a file of 250 MB), so it is
stated here in TensorFlow's own operations with narrow layers: every convolution, crop and suppression is TensorFlow's, every resize scikit-image's, as
there. The weights come from a seed; batch norms are set so that activations stay near unit variance. The seed is the first with which weights
moved by 1e-6 give the same in the same order.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf
from PIL import Image
from safetensors.numpy import save_file
from skimage.transform import resize

MIN_DIM, MAX_DIM, MEAN = 100, 128, np.array([123.7, 116.8, 103.9])
STRIDES, SCALES, RATIOS = (4, 8, 16, 32, 64), (24, 40, 64, 96, 128), (0.5, 1, 2)
PRE_NMS, PROPOSALS, DETECTIONS, MIN_CONFIDENCE = 800, 48, 16, 0.7
STEM, WIDTH, PYRAMID, RPN, FC, MASK, CLASSES = 4, 2, 12, 16, 20, 12, 4
STD_DEV = np.array([0.1, 0.1, 0.2, 0.2], "float32")
EPSILON = 1e-3
WANTED = {"rpn_class_raw": 1.5, "rpn_bbox_pred": 1.5, "mrcnn_class_logits": 2.0, "mrcnn_bbox_fc": 1.0, "mrcnn_mask": 2.0}


class Net:
    """Layers by name. The first pass makes their weights to fit what flows through them, later passes use these."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.layers = {}

    def conv(self, name, x, filters, size=1, stride=1, padding="VALID", centred=False):
        if name not in self.layers:
            kernel = self.rng.normal(0, 1 / np.sqrt(size * size * x.shape[-1]), (size, size, x.shape[-1], filters)).astype("float32")
            y = tf.nn.conv2d(x, kernel, stride, padding).numpy()
            factor = np.float32(WANTED.get(name, 1.0) / max(y.std(), 1e-6)) if centred else np.float32(1)
            bias = -y.mean((0, 1, 2)) * factor if centred else self.rng.normal(0, 0.3, filters)
            self.layers[name] = {"kernel": kernel * factor, "bias": bias.astype("float32")}
        weights = self.layers[name]
        return tf.nn.bias_add(tf.nn.conv2d(x, weights["kernel"], stride, padding), weights["bias"])

    def norm(self, name, x, gain=(0.4, 1.0)):
        if name not in self.layers:
            axes, channels = tuple(range(len(x.shape) - 1)), x.shape[-1]
            self.layers[name] = {
                "gamma": self.rng.uniform(*gain, channels).astype("float32"),
                "beta": self.rng.normal(0, 0.2, channels).astype("float32"),
                "moving_mean": x.numpy().mean(axes),
                "moving_variance": x.numpy().var(axes),
            }
        w = self.layers[name]
        return (x - w["moving_mean"]) / tf.sqrt(w["moving_variance"] + EPSILON) * w["gamma"] + w["beta"]

    def dense(self, name, x, units):
        if name not in self.layers:
            kernel = self.rng.normal(0, 1, (x.shape[-1], units)).astype("float32")
            y = x.numpy() @ kernel
            factor = np.float32(WANTED[name] / y.std())
            self.layers[name] = {"kernel": kernel * factor, "bias": (-y.mean(0) * factor).astype("float32")}
        return x @ self.layers[name]["kernel"] + self.layers[name]["bias"]

    def deconv(self, name, x, filters):
        if name not in self.layers:
            kernel = self.rng.normal(0, 1 / np.sqrt(x.shape[-1]), (2, 2, filters, x.shape[-1])).astype("float32")
            self.layers[name] = {"kernel": kernel, "bias": self.rng.normal(0, 0.2, filters).astype("float32")}
        n, h, w, _ = x.shape
        y = tf.nn.conv2d_transpose(x, self.layers[name]["kernel"], (n, 2 * h, 2 * w, filters), 2, "VALID")
        return tf.nn.bias_add(y, self.layers[name]["bias"])


def block(net, x, stage, letter, stride):
    width = WIDTH * 2 ** (stage - 2)
    conv, norm = f"res{stage}{letter}_branch", f"bn{stage}{letter}_branch"
    y = tf.nn.relu(net.norm(norm + "2a", net.conv(conv + "2a", x, width, 1, stride)))
    y = tf.nn.relu(net.norm(norm + "2b", net.conv(conv + "2b", y, width, 3, padding="SAME")))
    y = net.norm(norm + "2c", net.conv(conv + "2c", y, 4 * width), (0.1, 0.3))
    if letter == "a":
        x = net.norm(norm + "1", net.conv(conv + "1", x, 4 * width, 1, stride))
    return tf.nn.relu(x + y)


def backbone(net, x):
    x = tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]])
    x = tf.nn.relu(net.norm("bn_conv1", net.conv("conv1", x, STEM, 7, 2)))
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    stages = []
    for stage, letters in ((2, "abc"), (3, "abcd"), (4, "abcdef"), (5, "abc")):
        for letter in letters:
            x = block(net, x, stage, letter, 2 if letter == "a" and stage > 2 else 1)
        stages.append(x)
    c2, c3, c4, c5 = stages
    twice = lambda m: tf.repeat(tf.repeat(m, 2, 1), 2, 2)
    p5 = net.conv("fpn_c5p5", c5, PYRAMID, centred=True)
    p4 = twice(p5) + net.conv("fpn_c4p4", c4, PYRAMID, centred=True)
    p3 = twice(p4) + net.conv("fpn_c3p3", c3, PYRAMID, centred=True)
    p2 = twice(p3) + net.conv("fpn_c2p2", c2, PYRAMID, centred=True)
    maps = [net.conv(f"fpn_p{i + 2}", p, PYRAMID, 3, padding="SAME", centred=True) for i, p in enumerate((p2, p3, p4, p5))]
    return maps + [tf.nn.max_pool2d(maps[-1], 1, 2, "VALID")]


def rpn(net, maps):
    logits, deltas = [], []
    for p in maps:
        shared = tf.nn.relu(net.conv("rpn_conv_shared", p, RPN, 3, padding="SAME"))
        logits.append(tf.reshape(net.conv("rpn_class_raw", shared, 6, centred=True), (-1, 2)))
        deltas.append(tf.reshape(net.conv("rpn_bbox_pred", shared, 12, centred=True), (-1, 4)))
    return tf.concat(logits, 0), tf.concat(deltas, 0)


def anchors():
    """(y1, x1, y2, x2), from 0 to 1 where the last row and column are 1."""
    boxes = []
    for stride, scale in zip(STRIDES, SCALES):
        centres = np.arange(MAX_DIM // stride) * stride
        heights, widths = scale / np.sqrt(RATIOS), scale * np.sqrt(RATIOS)
        y, x = (c[..., None] for c in np.meshgrid(centres, centres, indexing="ij"))
        boxes.append(np.stack([y - heights / 2, x - widths / 2, y + heights / 2, x + widths / 2], -1).reshape(-1, 4))
    return ((np.concatenate(boxes) - [0, 0, 1, 1]) / (MAX_DIM - 1)).astype("float32")


def shift(boxes, deltas):
    sizes = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + 0.5 * sizes + deltas[:, :2] * sizes
    sizes = sizes * tf.exp(deltas[:, 2:])
    corner = centres - 0.5 * sizes
    return tf.concat([corner, corner + sizes], 1)


def clip(boxes, window):
    return tf.maximum(tf.minimum(boxes, tf.tile(window[2:], [2])), tf.tile(window[:2], [2]))


def propose(logits, deltas):
    scores = tf.nn.softmax(logits)[:, 1]
    best = tf.math.top_k(scores, PRE_NMS).indices
    boxes = clip(shift(tf.gather(anchors(), best), tf.gather(deltas * STD_DEV, best)), tf.constant([0.0, 0, 1, 1]))
    kept = tf.image.non_max_suppression(boxes, tf.gather(scores, best), PROPOSALS, 0.7)
    proposals = tf.gather(boxes, kept)
    return tf.pad(proposals, [[0, PROPOSALS - len(kept)], [0, 0]]), len(kept)


def crop(maps, boxes, size):
    h, w = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    level = tf.math.log(tf.sqrt(h * w) / (224.0 / tf.sqrt(float(MAX_DIM * MAX_DIM)))) / tf.math.log(2.0)
    level = tf.clip_by_value(4 + tf.cast(tf.round(level), tf.int32), 2, 5).numpy()
    pooled = np.zeros((len(boxes), size, size, PYRAMID), "float32")
    for i in range(4):
        rows = np.flatnonzero(level == i + 2)
        pooled[rows] = tf.image.crop_and_resize(maps[i], tf.gather(boxes, rows), np.zeros(len(rows), "int32"), (size, size)).numpy()
    return tf.constant(pooled)


def classify(net, pooled):
    x = tf.nn.relu(net.norm("mrcnn_class_bn1", net.conv("mrcnn_class_conv1", pooled, FC, 7)))
    x = tf.nn.relu(net.norm("mrcnn_class_bn2", net.conv("mrcnn_class_conv2", x, FC)))
    x = tf.reshape(x, (-1, FC))
    return tf.nn.softmax(net.dense("mrcnn_class_logits", x, CLASSES)), tf.reshape(net.dense("mrcnn_bbox_fc", x, 4 * CLASSES), (-1, CLASSES, 4))


def refine(rois, probs, deltas, window):
    classes = np.argmax(probs, 1)
    rows = np.arange(len(classes))
    scores = probs.numpy()[rows, classes]
    boxes = clip(shift(rois, deltas.numpy()[rows, classes] * STD_DEV), window).numpy()
    keep = []
    for c in range(1, CLASSES):
        own = np.flatnonzero((classes == c) & (scores >= np.float32(MIN_CONFIDENCE)))
        if len(own):
            keep += own[tf.image.non_max_suppression(boxes[own], scores[own], DETECTIONS, 0.3).numpy()].tolist()
    keep = sorted(sorted(keep), key=lambda i: -scores[i])[:DETECTIONS]
    return boxes[keep], classes[keep], scores[keep]


def mask_probabilities(net, pooled):
    x = pooled
    for i in range(1, 5):
        x = tf.nn.relu(net.norm(f"mrcnn_mask_bn{i}", net.conv(f"mrcnn_mask_conv{i}", x, MASK, 3, padding="SAME")))
    x = tf.nn.relu(net.deconv("mrcnn_mask_deconv", x, MASK))
    return tf.sigmoid(net.conv("mrcnn_mask", x, CLASSES, centred=True)).numpy()


def scaled(image):
    """The picture enlarged to MIN_DIM, or shrunk to MAX_DIM, as bytes."""
    h, w = image.shape[:2]
    scale = max(1, MIN_DIM / min(h, w))
    if round(max(h, w) * scale) > MAX_DIM:
        scale = MAX_DIM / max(h, w)
    size = (round(h * scale), round(w * scale))
    return resize(image, size, order=1, mode="constant", cval=0, clip=True, preserve_range=True, anti_aliasing=False).astype("uint8")


def run(net, image):
    small = scaled(image)
    h, w = small.shape[:2]
    top, left = (MAX_DIM - h) // 2, (MAX_DIM - w) // 2
    square = np.zeros((MAX_DIM, MAX_DIM, 3))
    square[top : top + h, left : left + w] = small
    maps = backbone(net, (square.astype("float32") - MEAN).astype("float32")[None])
    logits, deltas = rpn(net, maps)
    proposals, count = propose(logits, deltas)
    probs, box_deltas = classify(net, crop(maps, proposals, 7))
    window = ((np.array([top, left, top + h, left + w]) - [0, 0, 1, 1]) / (MAX_DIM - 1)).astype("float32")
    boxes, classes, scores = refine(proposals, probs, box_deltas, tf.constant(window))
    masks = np.zeros((0, 28, 28), "float32")
    if len(boxes):
        masks = mask_probabilities(net, crop(maps, tf.constant(boxes), 14))[np.arange(len(boxes)), :, :, classes]
    found = {"rpn_logits": logits.numpy(), "rpn_deltas": deltas.numpy(), "proposals": proposals.numpy(), "probabilities": probs.numpy(),
             "box_deltas": box_deltas.numpy(), "boxes": boxes, "scores": scores, "classes": classes.astype("int32"), "masks": masks}
    return small, window, count, {k: np.ascontiguousarray(v) for k, v in found.items()}


def to_picture(found, window, shape):
    """Whole pixels (y1, x1, y2, x2) of the picture, and full masks."""
    y1, x1, y2, x2 = window
    boxes = (found["boxes"] - [y1, x1, y1, x1]) / [y2 - y1, x2 - x1, y2 - y1, x2 - x1]
    exact = boxes * (np.array([shape[0], shape[1]] * 2) - 1) + [0, 0, 1, 1]
    boxes = np.around(exact).astype(int)
    masks, near = [], []
    for (y1, x1, y2, x2), small in zip(boxes, found["masks"]):
        full = np.zeros(shape, "uint8")
        values = np.zeros((0, 0))
        if y2 > y1 and x2 > x1:
            values = resize(small, (y2 - y1, x2 - x1), order=1, mode="constant", cval=0, clip=True, preserve_range=False, anti_aliasing=False)
            full[y1:y2, x1:x2] = values >= 0.5
        masks.append(full)
        near.append(int((np.abs(values - 0.5) < 1e-3).sum()))
    return exact, boxes, masks, near


def rle(mask):
    """COCO's uncompressed run lengths: column-major, zeros first."""
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return counts if flat[0] == 0 else [0, *counts]


def picture(path, seed, size):
    rng = np.random.default_rng(seed)
    base = np.asarray(Image.fromarray(rng.integers(20, 256, (7, 6, 3), dtype=np.uint8)).resize((size[1], size[0]), Image.Resampling.BICUBIC)).copy()
    base[size[0] // 5 : size[0] // 2, size[1] // 4 : size[1] // 2] = (220, 40, 50)
    base[size[0] // 2 : -8, size[1] // 2 : -9] = (30, 200, 90)
    Image.fromarray(base).save(path, optimize=True)
    return base


def stable(net, image, found):
    rng = np.random.default_rng(1)
    labels = found["classes"]
    scores = found["scores"]
    if len(labels) < 5 or len(set(labels.tolist())) < 2 or (scores[:-1] - scores[1:]).min() < 1e-4 or np.abs(scores - MIN_CONFIDENCE).min() < 1e-3:
        return False
    kept = net.layers
    for _ in range(3):
        net.layers = {k: {n: (v * (1 + rng.normal(0, 1e-6, v.shape))).astype("float32") for n, v in w.items()} for k, w in kept.items()}
        other = run(net, image)[3]
        net.layers = kept
        if len(other["classes"]) != len(labels) or (other["classes"] != labels).any():
            return False
        if any(np.abs(other[k] - found[k]).max() > most for k, most in (("proposals", 1e-4), ("boxes", 1e-4), ("masks", 5e-4))):
            return False
    return True


def crops():
    """TensorFlow's crops of boxes that end at the border, where its roundings say whether the last samples are zero."""
    rng = np.random.default_rng(2)
    maps = rng.normal(0, 1, (2, 32, 32, 2)).astype("float32")
    near = rng.uniform(0, 0.6, (48, 2)).astype("float32")
    far = np.where(rng.uniform(size=(48, 2)) < 0.7, 1, near + 0.3).astype("float32")
    images = (np.arange(48) >= 30).astype("int32")
    boxes = np.concatenate([near, far], 1)
    return {"crop.maps": maps, "crop.boxes": boxes, "crop.images": images, "crop.regions": tf.image.crop_and_resize(maps, boxes, images, (7, 7)).numpy()}


def save_keras(path, layers):
    """As Keras 2 saves weights: a group a layer, in it the weights' own names; the layers of the RPN within that of its model."""
    with h5py.File(path, "w", libver="earliest") as f:
        f.attrs["backend"], f.attrs["keras_version"] = b"tensorflow", b"2.0.8"
        outer = {}
        for layer, weights in layers.items():
            outer.setdefault("rpn_model" if layer.startswith("rpn_") else layer, {})[layer] = weights
        outer = {"input_image": {}, **outer, "mrcnn_detection": {}}
        f.attrs["layer_names"] = np.array([name.encode() for name in outer])
        for name, inner in outer.items():
            group = f.create_group(name)
            group.attrs["weight_names"] = np.array([f"{layer}/{w}:0".encode() for layer, weights in inner.items() for w in weights])
            for layer, weights in inner.items():
                for w, value in weights.items():
                    group.create_dataset(f"{layer}/{w}:0", data=value)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    image = picture(folder / "0.png", 5, (83, 71))
    wide = picture(folder / "1.png", 6, (97, 150))
    for seed in range(500):
        net = Net(seed)
        small, window, count, found = run(net, image)
        small, window, count, found = run(net, image)
        if stable(net, image, found):
            break
    else:
        raise SystemExit("no stable seed")
    exact, boxes, masks, near = to_picture(found, window, image.shape[:2])
    save_keras(folder / "mask_rcnn.h5", net.layers)
    found["resized.0"], found["resized.1"] = small, scaled(wide)
    found |= crops()
    save_file(found, folder / "golden.safetensors")
    settings = {"min_dim": MIN_DIM, "max_dim": MAX_DIM, "scales": SCALES, "pre_nms": PRE_NMS, "proposals": PROPOSALS, "kept_proposals": count,
                "detections": DETECTIONS, "min_confidence": MIN_CONFIDENCE, "classes": CLASSES}
    golden = {"tensorflow": tf.__version__, "seed": seed, **settings, "boxes": boxes.tolist(), "exact_boxes": exact.tolist(),
              "scores": found["scores"].tolist(), "labels": found["classes"].tolist(), "masks": [rle(m) for m in masks], "mask_pixels_near_half": near}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")
    edges = int((found["proposals"][:count, 2:] == 1).any(1).sum())
    print("seed", seed, "window", window * (MAX_DIM - 1), "kept", count, "at the edge", edges, "labels", golden["labels"], "scores", golden["scores"], boxes.tolist())


main(Path(sys.argv[1]))
