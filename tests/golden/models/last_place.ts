import type { Random } from '../../../src/data/random.js';

/**
 * Moves each number to the next float32 below or above it, by chance: a change no larger than the rounding that every value of a float32 model
 * carries anyway. Zeros stay.
 */
export function moveByLastPlace(values: Float32Array, random: Random): Float32Array {
  const moved = values.slice();
  // Neighbours of the same sign are neighbours as integers too.
  const bits = new Int32Array(moved.buffer);
  for (let i = 0; i < bits.length; i++) if (moved[i] !== 0) bits[i]! += 2 * random.integer(2) - 1;
  return moved;
}
