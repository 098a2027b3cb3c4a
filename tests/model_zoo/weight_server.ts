import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Answers one request. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on this machine that answers the first request with the first answer, and so on; the last one stays. */
export async function startWeightServer(answers: Answer[]) {
  const requests: { path: string; range?: string; ifRange?: string }[] = [];
  const server = createServer((request, response) => {
    requests.push({
      path: request.url!,
      range: request.headers.range,
      ifRange: request.headers['if-range'] as string | undefined,
    });
    answers[Math.min(requests.length, answers.length) - 1](request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Serves the bytes properly, ranges included. */
export function serve(bytes: Uint8Array, headers: Record<string, string> = { etag: '"a"' }): Answer {
  return (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const sameFile = request.headers['if-range'] === headers.etag;
    if (start > 0 && sameFile) {
      if (start >= bytes.length) return void response.writeHead(416).end();
      response.writeHead(206, {
        ...headers,
        'content-length': bytes.length - start,
        'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      });
      return void response.end(bytes.subarray(start));
    }
    response.writeHead(200, { ...headers, 'content-length': bytes.length });
    response.end(bytes);
  };
}

/** Serves the whole file whatever range is asked for. */
export function serveWhole(bytes: Uint8Array, headers: Record<string, string> = { etag: '"a"' }): Answer {
  return (_, response) => {
    response.writeHead(200, { ...headers, 'content-length': bytes.length });
    response.end(bytes);
  };
}

/** Announces the whole rest, sends so many bytes of it and cuts the connection. */
export function cutAfter(bytes: Uint8Array, count: number, headers: Record<string, string> = { etag: '"a"' }): Answer {
  return (request, response) => {
    const start = headers.etag ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
    const range = start > 0 ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(start > 0 ? 206 : 200, { ...headers, ...range, 'content-length': bytes.length - start });
    response.write(bytes.subarray(start, start + count), () => setTimeout(() => response.destroy(), 250));
  };
}

/** Answers with a status and a text. */
export function status(code: number, text = '', type = 'text/plain'): Answer {
  return (_, response) => void response.writeHead(code, { 'content-type': type }).end(text);
}
