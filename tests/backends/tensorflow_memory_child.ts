// A predictor that runs out of memory, is disposed and made anew; prints what was seen. Started with little memory for tensors.
import * as tf from '@tensorflow/tfjs-core';
import { fileURLToPath } from 'node:url';
import { Predictor } from '../../src/engine/predictor.js';

const model = fileURLToPath(new URL('../../weights/emoji', import.meta.url));
const picture = fileURLToPath(new URL('../../examples/images/emoji_1.jpg', import.meta.url));
const side = 3000;
const large = { data: new Uint8Array(side * side * 3), width: side, height: side };
const overrides = [`INPUT.MIN_SIZE_TEST=${side}`, `INPUT.MAX_SIZE_TEST=${side}`];

const greedy = await Predictor.load(model, { device: 'tensorflow', overrides });
const loaded = tf.memory().numTensors;
const failure = await greedy.predict(large).then(
  () => undefined,
  (error: unknown) => error as Error,
);
const left = tf.memory().numTensors - loaded;
greedy.dispose();
const predictor = await Predictor.load(model, { device: 'tensorflow' });
const { length } = [...(await predictor.predict(picture))];
predictor.dispose();
const seen = { error: failure?.name, message: failure?.message, left, instances: length, tensors: tf.memory().numTensors };
console.log(JSON.stringify(seen));
