// The onnxruntime-node side of the benchmarks: the same JSON lines as torchvision_peer.py, for the exported model only.
/* global performance */
// Environment: MASKRCNN_PEER_ONNXRUNTIME = a folder whose node_modules has onnxruntime-node, MASKRCNN_PEER_ONNX = the exported file.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const THREADS = 2;
const require = createRequire(join(process.env.MASKRCNN_PEER_ONNXRUNTIME, 'x.js'));
const ort = require('onnxruntime-node');
let session;
let image;

async function answer(request) {
  if (request.do === 'describe') {
    return { peer: `onnxruntime-node ${require('onnxruntime-node/package.json').version}`, threads: THREADS };
  }
  if (request.do === 'prepare') {
    session = await ort.InferenceSession.create(process.env.MASKRCNN_PEER_ONNX, {
      intraOpNumThreads: THREADS,
      interOpNumThreads: 1,
    });
    const { file, shape } = request.inputs.image;
    image = { data: readFileSync(file), shape };
    return { ready: true };
  }
  const start = performance.now();
  const [height, width] = image.shape;
  const plane = height * width;
  const input = new Float32Array(3 * plane);
  for (let p = 0; p < plane; p++) for (let c = 0; c < 3; c++) input[c * plane + p] = image.data[3 * p + c] / 255;
  const out = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', input, [3, height, width]) });
  const detections = out[session.outputNames[0]].dims[0];
  return { ms: performance.now() - start, detections, peak_mb: Math.round(process.resourceUsage().maxRSS / 1024) };
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = await answer(JSON.parse(line));
  } catch (error) {
    reply = { error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
