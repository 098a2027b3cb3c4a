import { ArgumentError } from '../errors.js';
import { paintScene } from './paint.js';
import type { Canvas } from './raster.js';
import { buildScene, type DrawnInstance, type DrawOptions } from './scene.js';

export type { DrawnInstance, DrawOptions } from './scene.js';
export { drawInstancesSvg } from './svg.js';

/**
 * Draws instances over a picture: translucent masks with outlines, boxes, and labels that keep out of each other's way.
 * The picture is not changed; the same input gives the same bytes. Node only (the PNG is written by sharp).
 * @param image RGB, [height, width, 3], 0..255
 * @returns     a PNG file's bytes
 * @throws ArgumentError where the pixels do not fit the size, or an instance or option cannot be drawn
 */
export async function drawInstances(
  image: Canvas,
  instances: readonly DrawnInstance[],
  options: DrawOptions = {},
): Promise<Uint8Array> {
  const { data, height, width } = image;
  if (data.length !== height * width * 3)
    throw new ArgumentError(`an RGB picture of ${height} x ${width} has ${height * width * 3} values, got ${data.length}`);
  const scene = buildScene(height, width, instances, options);
  const { default: sharp } = await import('sharp');
  let pixels = new Uint8Array(data);
  if (scene.width !== width || scene.height !== height) {
    const resized = sharp(data, { raw: { width, height, channels: 3 } }).resize(scene.width, scene.height, {
      fit: 'fill',
      kernel: 'lanczos3',
    });
    pixels = new Uint8Array(await resized.raw().toBuffer());
  }
  paintScene({ data: pixels, height: scene.height, width: scene.width }, scene);
  return sharp(pixels, { raw: { width: scene.width, height: scene.height, channels: 3 } })
    .png({ compressionLevel: 9 })
    .toBuffer();
}
