import { ArgumentError } from '../errors.js';

/** An option's value: an integer above 0. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new ArgumentError(`"${text}" is not an integer above 0.`);
  return value;
}

/** An option's value: a number from 0 to 1. */
export function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) throw new ArgumentError(`"${text}" is not a number from 0 to 1.`);
  return value;
}
