import { MaskRcnnError } from '../errors.js';

/**
 * What a person reads of an error: our own messages as they are, in one line; others marked as unexpected.
 *
 * @param debug add the stack and the causes.
 */
export function formatError(error: unknown, debug: boolean): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  const expected = error instanceof MaskRcnnError;
  const line = expected ? message.replace(/\s*\n\s*/g, ' ') : `unexpected: ${message.split('\n')[0]}`;
  if (debug) return `${line}\n${stacks(error)}`;
  return expected ? line : `${line} (MASKRCNN_DEBUG=1 shows where)`;
}

function stacks(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by: ${stacks(error.cause)}`;
}
