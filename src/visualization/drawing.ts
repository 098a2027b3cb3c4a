import type { Image } from '../data/image_io/pixel_formats.js';
import { ArgumentError } from '../errors.js';
import type { Instance, PixelResults } from '../structures/detected_instances.js';
import { drawInstances, type DrawnInstance, type DrawOptions } from './draw.js';
import { drawnSegments } from './drawn_segments.js';
import { drawInstancesSvg } from './svg.js';

export type { DrawOptions } from './draw.js';

/** An overlay of instances, or of things and stuff, on their picture, made when it is asked for. */
export class Drawing {
  /** @internal */
  constructor(
    private readonly image: Image,
    private readonly instances: readonly Instance[],
    private readonly options: DrawOptions,
    private readonly pixels: PixelResults = {},
  ) {}

  /** @returns the bytes of a PNG file of the picture's size times `scale` */
  async toPng(): Promise<Uint8Array> {
    return drawInstances(this.image, this.drawn(), this.options);
  }

  /** @returns an SVG document with the picture inside */
  async toSvg(): Promise<string> {
    const { default: sharp } = await import('sharp');
    const { data, height, width } = this.image;
    const jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 90 })
      .toBuffer();
    return drawInstancesSvg(`data:image/jpeg;base64,${jpeg.toString('base64')}`, height, width, this.drawn(), this.options);
  }

  /** Writes `.png` or `.svg`, by the name's end, in one piece. */
  async toFile(path: string): Promise<void> {
    const { writeFileAtomic } = await import('../atomic_file.js');
    if (/\.svg$/i.test(path)) return writeFileAtomic(path, await this.toSvg());
    if (/\.png$/i.test(path)) return writeFileAtomic(path, await this.toPng());
    throw new ArgumentError(`The drawing cannot be written to ${path}: expected a name that ends in .png or .svg.`);
  }

  private drawn(): DrawnInstance[] {
    return drawnSegments(this.instances, this.pixels);
  }
}
