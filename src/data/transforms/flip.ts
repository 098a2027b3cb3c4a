import { Transform, checkSize, like, type Picture, type Raster, type Samples } from './transform.js';

/** Mirrors left and right: x becomes width - x. */
export class HFlipTransform extends Transform {
  constructor(readonly width: number) {
    super();
  }

  applyImage(image: Picture): Picture {
    return this.applyLabels(image);
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    checkSize('HFlipTransform', labels, labels.height, this.width);
    const { data, height, width, channels } = labels;
    const out = like(data, data.length);
    const row = width * channels;
    for (let start = 0; start < height * row; start += row)
      for (let x = 0; x < row; x += channels) {
        const o = start + row - channels - x;
        for (let c = 0; c < channels; c++) out[o + c] = data[start + x + c];
      }
    return { ...labels, data: out };
  }

  applyCoordinates(points: Float64Array): Float64Array {
    return points.map((v, i) => (i % 2 === 0 ? this.width - v : v));
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    return boxes.map((v, i) => (i % 5 === 0 ? this.width - v : i % 5 === 4 ? -v : v));
  }

  override get mirrors(): boolean {
    return true;
  }

  override inverse(): Transform {
    return this;
  }
}

/** Turns upside down: y becomes height - y. */
export class VFlipTransform extends Transform {
  constructor(readonly height: number) {
    super();
  }

  applyImage(image: Picture): Picture {
    return this.applyLabels(image);
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    checkSize('VFlipTransform', labels, this.height, labels.width);
    const { data, height, width, channels } = labels;
    const out = like(data, data.length);
    const row = width * channels;
    for (let y = 0; y < height; y++) out.set(data.subarray(y * row, (y + 1) * row), (height - 1 - y) * row);
    return { ...labels, data: out };
  }

  applyCoordinates(points: Float64Array): Float64Array {
    return points.map((v, i) => (i % 2 === 1 ? this.height - v : v));
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    return boxes.map((v, i) => (i % 5 === 1 ? this.height - v : i % 5 === 4 ? -v : v));
  }

  override inverse(): Transform {
    return this;
  }
}
