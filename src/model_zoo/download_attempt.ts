import type { FileHandle } from 'node:fs/promises';
import { ZooError } from '../errors.js';

/** What the server said of the file, kept beside a part of it so that the rest fits. */
export interface PartState {
  url: string;
  /** Whole size in bytes, where the server told it. */
  total?: number;
  /** ETag or date that the rest must still have. */
  validator?: string;
}

/** What an attempt needs to know. */
export interface AttemptOptions {
  fetch: typeof fetch;
  signal?: AbortSignal;
  /** Give up after so many milliseconds without a byte. */
  idleMs: number;
  onBytes(received: number, total: number | undefined): void;
  /** Called once the server has described the file, before its bytes. */
  onState(state: PartState): Promise<void>;
}

/** A failure that may pass: worth another attempt. */
export class TransientError extends Error {}

/**
 * Asks once for what is missing and writes it. Ends normally only when the file is whole.
 * @throws TransientError where another attempt may do better, ZooError where none will
 */
export async function downloadAttempt(
  url: string,
  file: FileHandle,
  have: number,
  state: PartState,
  o: AttemptOptions,
): Promise<void> {
  const idle = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => idle.abort(new TransientError(`nothing came for ${o.idleMs} ms`)), o.idleMs);
  };
  const signal = o.signal ? AbortSignal.any([o.signal, idle.signal]) : idle.signal;
  // Without a validator the rest could be of another file: start over.
  const from = have > 0 && state.validator ? have : 0;
  const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'maskrcnn-ts' };
  if (from > 0) Object.assign(headers, { range: `bytes=${from}-`, 'if-range': state.validator });
  alive();
  try {
    const response = await o.fetch(url, { headers, signal });
    const { start, total } = await describeResponse(response, url, from);
    if (start === 0) await file.truncate(0);
    await o.onState({ url, total, validator: validatorOf(response) });
    let received = start;
    o.onBytes(received, total);
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      alive();
      if (received === 0 && looksLikeHtml(chunk)) throw htmlError(url);
      await file.write(chunk, 0, chunk.length, received);
      received += chunk.length;
      if (total !== undefined && received > total) throw new TransientError(`more than the announced ${total} bytes came`);
      o.onBytes(received, total);
    }
    if (total !== undefined && received !== total) throw new TransientError(`${received} of ${total} bytes came`);
    if (received === 0) throw new TransientError('the answer was empty');
  } catch (error) {
    if (o.signal?.aborted) throw o.signal.reason;
    if (error instanceof ZooError || error instanceof TransientError) throw error;
    if (idle.signal.aborted) throw idle.signal.reason;
    // A full or read-only disk is not the network's fault.
    if ((error as NodeJS.ErrnoException).syscall === 'write') throw error;
    const cause = (error as Error).cause;
    throw new TransientError(cause instanceof Error ? cause.message || (error as Error).message : (error as Error).message, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

async function describeResponse(
  response: Response,
  url: string,
  from: number,
): Promise<{ start: number; total: number | undefined }> {
  const { status } = response;
  const refuse = async (error: Error): Promise<never> => {
    await response.body?.cancel();
    throw error;
  };
  if (status === 416) return refuse(new PartMismatchError('the server does not have the rest of the part that is here'));
  if (status === 408 || status === 429 || status >= 500) return refuse(new TransientError(`the server answered ${status}`));
  if (status !== 200 && status !== 206)
    return refuse(new ZooError(`${url}: the server answered ${status} ${response.statusText}`.trim()));
  if (/text\/html|application\/xhtml/i.test(response.headers.get('content-type') ?? '')) return refuse(htmlError(url));
  if (status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
    if (!range || Number(range[1]) !== from || Number(range[2]) !== Number(range[3]) - 1)
      return refuse(new PartMismatchError('the server sent another range than the one asked for'));
    return { start: from, total: Number(range[3]) };
  }
  const encoded = !['', 'identity'].includes(response.headers.get('content-encoding') ?? '');
  const length = response.headers.get('content-length');
  return { start: 0, total: length === null || encoded ? undefined : Number(length) };
}

/** The part on the disk does not fit what the server has: throw it away and start over. */
export class PartMismatchError extends TransientError {}

function validatorOf(response: Response): string | undefined {
  const etag = response.headers.get('etag');
  // If-Range takes strong ETags only.
  return etag && !etag.startsWith('W/') ? etag : (response.headers.get('last-modified') ?? undefined);
}

function looksLikeHtml(chunk: Uint8Array): boolean {
  return /^\s*<(!doctype html|html|head|\?xml)/i.test(Buffer.from(chunk.subarray(0, 64)).toString('latin1'));
}

function htmlError(url: string): ZooError {
  return new ZooError(`${url}: a web page came instead of weights; a login page, a proxy or a moved file answers there`);
}
