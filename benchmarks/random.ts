/** Seeded uniform numbers in [0, 1) (mulberry32): the same inputs in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Boxes (x0, y0, x1, y1) inside height x width with sides between `smallest` and `largest` pixels. */
export function randomBoxes(
  count: number,
  height: number,
  width: number,
  smallest: number,
  largest: number,
  random: () => number,
): Float32Array {
  const out = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const w = smallest + random() * (Math.min(largest, width) - smallest);
    const h = smallest + random() * (Math.min(largest, height) - smallest);
    const x = random() * (width - w);
    const y = random() * (height - h);
    out.set([x, y, x + w, y + h], i * 4);
  }
  return out;
}
