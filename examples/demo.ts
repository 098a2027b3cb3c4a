/** The main job in one go: two pictures in, drawings and COCO results out. Runs on whatever device works here; nothing native is needed. */
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/atomic_file.js';
import { Predictor } from '../src/engine/predictor.js';
import { shippedModelFolder } from '../src/model_zoo/shipped_model.js';
import type { CocoResult } from '../src/structures/prediction.js';

const images = fileURLToPath(new URL('images/', import.meta.url));
const output = fileURLToPath(new URL('../demo_output/', import.meta.url));

const predictor = await Predictor.load(shippedModelFolder(), { device: 'auto', scoreThreshold: 0.5 });
console.log(`device: ${predictor.device} (${predictor.backend.description})`);
const results: CocoResult[] = [];
const names = (await readdir(images)).filter((name) => name.endsWith('.jpg')).sort();
for (const [imageId, name] of names.entries()) {
  const result = await predictor.predict(`${images}${name}`);
  const drawn = `${name.replace('.jpg', '')}.png`;
  await result.draw({ scale: 4 }).toFile(`${output}${drawn}`);
  results.push(...result.toCoco({ imageId }));
  console.log(`\n${name} -> demo_output/${drawn}`);
  for (const { className, score, box, mask } of result) {
    console.log(
      `  ${className.padEnd(14)} ${score.toFixed(3)}  box ${box.map((v) => v.toFixed(1)).join(' ')}  mask ${mask?.area() ?? 0} px`,
    );
  }
}
await writeFileAtomic(`${output}coco_results.json`, JSON.stringify(results));
console.log(`\n${names.length} pictures, ${results.length} instances -> demo_output/coco_results.json`);
predictor.dispose();
