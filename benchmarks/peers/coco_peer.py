"""The pycocotools or faster-coco-eval side of the benchmarks; the requests are those of torchvision_peer.py. Usage: coco_peer.py pycocotools|faster_coco_eval

Everything that our side gets ready beforehand is ready here too: parsed JSON and, for the annotations, the index. Timed are loadRes, evaluate, accumulate, summarize.
"""
import contextlib
import importlib.metadata
import io
import json
import sys
import time

import numpy as np

LIBRARY = sys.argv[1]
if LIBRARY == "pycocotools":
    from pycocotools import mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
else:
    from faster_coco_eval import COCO
    from faster_coco_eval import COCOeval_faster as COCOeval
    from faster_coco_eval import mask


def text(entry):
    with open(entry["file"], "rb") as file:
        return file.read()


def coco_eval(inputs, options):
    truth, results = text(inputs["truth"]), text(inputs["results"])

    def setup():
        # The evaluation replaces polygons by run lengths in place, so every run gets data that nobody touched.
        data, found = json.loads(truth), json.loads(results)
        coco = COCO()
        coco.dataset = data
        coco.createIndex()
        return coco, found

    def run(coco, found):
        evaluation = COCOeval(coco, coco.loadRes(found), options["task"])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return {"AP": float(evaluation.stats[0])}

    return setup, run


def bitmaps(inputs, options):
    data = np.fromfile(inputs["bitmaps"]["file"], dtype=np.uint8).reshape(inputs["bitmaps"]["shape"])
    h, w = options["height"], options["width"]
    return [m.reshape(w, h).T[:, :, None] for m in data]


def rle_encode(inputs, options):
    masks = bitmaps(inputs, options)

    def run():
        return {"rle_characters": sum(len(mask.encode(masks[i % len(masks)])[0]["counts"]) for i in range(options["count"]))}

    return None, run


def rle_decode(inputs, options):
    rles = [mask.encode(m)[0] for m in bitmaps(inputs, options)]

    def run():
        last = 0
        for i in range(options["count"]):
            last += int(mask.decode(rles[i % len(rles)])[0, 0])
        return {}

    return None, run


BENCHES = {
    "coco_eval_bbox": coco_eval,
    "coco_eval_segm": coco_eval,
    "coco_eval_bbox_500": coco_eval,
    "coco_eval_segm_500": coco_eval,
    "rle_encode_1000": rle_encode,
    "rle_decode_1000": rle_decode,
}


def main():
    setup = run = None
    out = sys.stdout
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                if request["do"] == "describe":
                    name = LIBRARY.replace("_", "-")
                    answer = {"peer": f"{name} {importlib.metadata.version(name)}", "threads": 1}
                elif request["do"] == "prepare":
                    setup, run = BENCHES[request["bench"]](request["inputs"], request.get("options", {}))
                    answer = {"ready": True}
                else:
                    ready = setup() if setup else ()
                    start = time.perf_counter()
                    info = run(*ready)
                    answer = {"ms": (time.perf_counter() - start) * 1000, **info}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=out, flush=True)


main()
