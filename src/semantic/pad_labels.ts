/** A class per pixel. */
export interface LabelMap {
  /** [height, width], row-major. */
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/**
 * Label maps as one array, each in the top left corner (Detectron2's `ImageList.from_tensors` with a pad value).
 * @param paddedSize (height, width) of the padded pictures, at least that of every map
 * @param value      the label of the margin
 * @returns [N * height * width]
 */
export function padLabels(maps: readonly LabelMap[], [height, width]: readonly [number, number], value: number): Uint8Array {
  const labels = new Uint8Array(maps.length * height * width).fill(value);
  maps.forEach((map, i) => {
    for (let y = 0; y < map.height; y++)
      labels.set(map.data.subarray(y * map.width, (y + 1) * map.width), (i * height + y) * width);
  });
  return labels;
}
