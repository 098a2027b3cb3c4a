/** A rectangle in pixels. */
export interface Rectangle {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

/** A label to place: the box of what it names, and its own size, pixels. */
export interface LabelRequest {
  box: Rectangle;
  width: number;
  height: number;
}

/** Where a label went. */
export interface PlacedLabel extends Rectangle {
  /** From the label to the border of its box, where the label could not stay at the box. */
  leader?: { x0: number; y0: number; x1: number; y1: number };
}

/**
 * Places labels beside or in their boxes, inside the picture, without overlaps as far as there is room.
 *
 * Small boxes choose first, since large ones have more places to offer. Each label takes the cheapest of a fixed list of places around its
 * box; where all of them collide it moves to the nearest free place and gets a leader line; only where nothing is free it overlaps, least.
 *
 * @param bounds size of the picture, pixels
 * @returns      one place for each request, in the order of the requests
 */
export function layoutLabels(requests: readonly LabelRequest[], bounds: { width: number; height: number }): PlacedLabel[] {
  const order = requests.map((_, i) => i).sort((a, b) => areaOf(requests[a].box) - areaOf(requests[b].box) || a - b);
  const placed: Rectangle[] = [];
  const result: PlacedLabel[] = new Array<PlacedLabel>(requests.length);
  for (const index of order) {
    const request = requests[index];
    const others = requests.filter((_, i) => i !== index).map((r) => r.box);
    let best = cheapest(placesAtBox(request), request, placed, others, bounds);
    if (best.overlap > 0) {
      const free = cheapest(placesAround(best.place, request, bounds), request, placed, others, bounds);
      if (free.overlap < best.overlap) best = free;
    }
    placed.push(best.place);
    const leader = leaderLine(best.place, request.box, request.height);
    result[index] = leader ? { ...best.place, leader } : best.place;
  }
  return result;
}

/** Area common to two rectangles, square pixels. */
export function overlapArea(a: Rectangle, b: Rectangle): number {
  return Math.max(0, Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0)) * Math.max(0, Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0));
}

function areaOf(r: Rectangle): number {
  return Math.max(0, r.x1 - r.x0) * Math.max(0, r.y1 - r.y0);
}

/** Top-left corners, most wanted first: on top, below, inside the corners, beside. */
function placesAtBox({ box, width, height }: LabelRequest): [number, number][] {
  const right = box.x1 - width;
  const middle = (box.x0 + right) / 2;
  const bottom = box.y1 - height;
  return [
    [box.x0, box.y0 - height],
    [right, box.y0 - height],
    [middle, box.y0 - height],
    [box.x0, box.y0],
    [box.x0, box.y1],
    [right, box.y1],
    [right, box.y0],
    [middle, box.y1],
    [box.x0, bottom],
    [right, bottom],
    [box.x1, box.y0],
    [box.x0 - width, box.y0],
    [box.x1, bottom],
    [box.x0 - width, bottom],
    [middle, box.y0],
    [middle, bottom],
    [middle, (box.y0 + bottom) / 2],
  ];
}

/** Top-left corners on a grid around a place, half a label apart, up to eight labels' heights away and within the picture. */
function placesAround(
  place: Rectangle,
  { width, height }: LabelRequest,
  bounds: { width: number; height: number },
): [number, number][] {
  const places: [number, number][] = [];
  const reach = 16;
  for (let row = -reach; row <= reach; row++) {
    for (let column = -reach; column <= reach; column++) {
      const x = place.x0 + (column * width) / 4;
      const y = place.y0 + (row * height) / 2;
      if (x >= 0 && y >= 0 && x + width <= bounds.width && y + height <= bounds.height) places.push([x, y]);
    }
  }
  return places;
}

function cheapest(
  corners: readonly [number, number][],
  { box, width, height }: LabelRequest,
  placed: readonly Rectangle[],
  others: readonly Rectangle[],
  bounds: { width: number; height: number },
): { place: Rectangle; overlap: number } {
  let best = { place: { x0: 0, y0: 0, x1: width, y1: height }, overlap: Infinity };
  let lowest = Infinity;
  const size = width * height || 1;
  corners.forEach(([wantedX, wantedY], rank) => {
    const x0 = Math.round(Math.max(0, Math.min(bounds.width - width, wantedX)));
    const y0 = Math.round(Math.max(0, Math.min(bounds.height - height, wantedY)));
    const place = { x0, y0, x1: x0 + width, y1: y0 + height };
    let overlap = 0;
    for (const other of placed) overlap += overlapArea(place, other);
    // Hiding what the label names is worse for small objects; hiding others misleads; distance costs where the label had to leave.
    const hidesOwn = overlapArea(place, box) / (areaOf(box) || 1);
    let hidesOthers = 0;
    for (const other of others)
      hidesOthers += overlapArea(place, other) / size + (2 * overlapArea(place, other)) / (areaOf(other) || 1);
    // Any collision costs more than every other term together.
    const collision = overlap > 0 ? 1e6 + (1e6 * overlap) / size : 0;
    const cost = collision + hidesOwn + 0.15 * hidesOthers + 0.02 * Math.min(rank, 16) + (2 * gap(place, box)) / height;
    if (cost < lowest) [lowest, best] = [cost, { place, overlap }];
  });
  return best;
}

/** Distance between two rectangles, 0 where they touch. */
function gap(a: Rectangle, b: Rectangle): number {
  return Math.hypot(Math.max(0, a.x0 - b.x1, b.x0 - a.x1), Math.max(0, a.y0 - b.y1, b.y0 - a.y1));
}

function leaderLine(label: Rectangle, box: Rectangle, height: number): PlacedLabel['leader'] {
  if (gap(label, box) < height / 4) return undefined;
  const nearest = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
  const [x0, y0] = [nearest((box.x0 + box.x1) / 2, label.x0, label.x1), nearest((box.y0 + box.y1) / 2, label.y0, label.y1)];
  return { x0, y0, x1: nearest(x0, box.x0, box.x1), y1: nearest(y0, box.y0, box.y1) };
}
