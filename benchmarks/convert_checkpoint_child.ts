// One conversion in a fresh process, so that the peak is its own: prints seconds, memory before and at its peak, in bytes.
import { convertCheckpoint } from '../src/checkpoint/convert.js';

const [input, output] = process.argv.slice(2);
const baseline = process.memoryUsage().rss;
const start = performance.now();
await convertCheckpoint(input, output);
const seconds = (performance.now() - start) / 1000;
// maxRSS is in kilobytes.
console.log(JSON.stringify({ seconds, baseline, peak: process.resourceUsage().maxRSS * 1024 }));
