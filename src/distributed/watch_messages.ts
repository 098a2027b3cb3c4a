/** What watches say to each other, a JSON line each. */
export type WatchLine =
  /** The first line of a connection. */
  | { readonly kind: 'hello'; readonly rank: number; readonly token: string; readonly who: string }
  /** The rank's process is there, and its main thread has come so far. */
  | { readonly kind: 'beat'; readonly rank: number; readonly position: number }
  /** The rank leaves as it should. */
  | { readonly kind: 'bye'; readonly rank: number }
  /** The job ends, for this reason. */
  | { readonly kind: 'end'; readonly reason: string };

/** Where rank 0 listens. */
export interface WatchAddress {
  readonly hosts: readonly string[];
  readonly port: number;
  /** Known to the ranks alone: other programs that find the port are not listened to. */
  readonly token: string;
}

/** What a watching thread is made with. */
export interface WatchOptions {
  readonly rank: number;
  readonly size: number;
  /** Process and machine, for messages. */
  readonly who: string;
  readonly token: string;
  /** How far the main thread has come, as `CountedCommunicator` counts. */
  readonly position: Int32Array<SharedArrayBuffer>;
  /** Milliseconds that others wait for a rank before it is held to hang. */
  readonly timeout: number;
}

/** To the thread. */
export type WatchOrder =
  /** Rank 0 listens there: join it. */
  | { readonly do: 'join'; readonly address: WatchAddress }
  /** Tell the others why this rank ends. */
  | { readonly do: 'fail'; readonly reason: string }
  /** This rank leaves as it should. */
  | { readonly do: 'leave' };

/** From the thread: done with what was ordered, with an address where it began to listen, or a line for the user where it could not. */
export interface WatchAnswer {
  readonly address?: WatchAddress;
  readonly problem?: string;
}

/** Characters of the longest line that is read: other programs that find the port may send without end. */
const LONGEST = 65_536;

const KINDS: readonly unknown[] = ['hello', 'beat', 'bye', 'end'] satisfies WatchLine['kind'][];

/**
 * Cuts a stream of text into the lines of watches.
 * @param onLine    takes them; says whether to go on
 * @param onStrange called once, where something else comes, or a line without end; nothing is read after it
 */
export function eachLine(onLine: (line: WatchLine) => boolean, onStrange: () => void): (chunk: string) => void {
  let rest = '';
  let open = true;
  const strange = (): void => {
    [open, rest] = [false, ''];
    onStrange();
  };
  return (chunk) => {
    if (!open) return;
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines) {
      const line = text.length > LONGEST ? undefined : parseLine(text);
      if (line === undefined) return strange();
      open = onLine(line);
      if (!open) return;
    }
    if (rest.length > LONGEST) strange();
  };
}

function parseLine(text: string): WatchLine | undefined {
  try {
    const line = JSON.parse(text) as WatchLine | null;
    return KINDS.includes(line?.kind) ? line! : undefined;
  } catch {
    return undefined;
  }
}

/** As much of a reason as a line holds. */
export const shortReason = (reason: string): string => reason.slice(0, LONGEST / 8);
