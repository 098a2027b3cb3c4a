import { describe, expect, it } from 'vitest';
import { eachLine, type WatchLine } from '../../src/distributed/watch_messages.js';

function read(chunks: readonly string[], goOn: (line: WatchLine) => boolean = () => true) {
  const lines: WatchLine[] = [];
  let strange = 0;
  const feed = eachLine(
    (line) => {
      lines.push(line);
      return goOn(line);
    },
    () => strange++,
  );
  for (const chunk of chunks) feed(chunk);
  return { lines, strange };
}

describe('eachLine', () => {
  it('puts lines together that come in pieces', () => {
    const beat = { kind: 'beat', rank: 1, position: 4 } as const;
    const text = JSON.stringify(beat);
    expect(read([text.slice(0, 9), `${text.slice(9)}\n{"kind":"bye",`, '"rank":1}\n'])).toEqual({
      lines: [beat, { kind: 'bye', rank: 1 }],
      strange: 0,
    });
  });

  it.each(['GET / HTTP/1.1\r\nHost: rank0\r\n\r\n', '\0\u0001\u0016\n', 'null\n', '7\n', '{"kind":"other"}\n', '\n'])(
    'gives up what other programs send: %j',
    (text) => {
      expect(read([text, '{"kind":"bye","rank":1}\n'])).toEqual({ lines: [], strange: 1 });
    },
  );

  it('does not keep a line without end', () => {
    expect(read(Array.from({ length: 100 }, () => 'x'.repeat(1000)))).toEqual({ lines: [], strange: 1 });
    expect(read([`{"kind":"end","reason":"${'x'.repeat(70_000)}"}\n`])).toEqual({ lines: [], strange: 1 });
  });

  it('reads nothing after a line that it is told to end with', () => {
    const text = '{"kind":"bye","rank":1}\n{"kind":"bye","rank":2}\n';
    expect(read([text, text], () => false)).toEqual({ lines: [{ kind: 'bye', rank: 1 }], strange: 0 });
  });
});
