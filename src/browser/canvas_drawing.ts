import type { Image } from '../data/image_io/pixel_formats.js';
import type { Instance, PixelResults } from '../structures/detected_instances.js';
import { hexColor } from '../visualization/colors.js';
import { drawnSegments } from '../visualization/drawn_segments.js';
import { canWrite, textOutlines } from '../visualization/label_font.js';
import { buildScene, type DrawOptions, type Scene } from '../visualization/scene.js';
import { POINT_COLOR } from '../visualization/skeleton.js';
import { ImageError } from '../errors.js';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** An overlay of instances, or of things and stuff, on their picture, made when it is asked for. */
export class CanvasDrawing {
  private scene: Scene | undefined;

  /** @internal */
  constructor(
    private readonly image: Image,
    private readonly instances: readonly Instance[],
    private readonly options: DrawOptions,
    private readonly maps: PixelResults = {},
  ) {}

  /** Gives the canvas the picture's size times `scale` and draws the picture and the overlays. */
  paint(canvas: HTMLCanvasElement | OffscreenCanvas): void {
    const scene = this.build();
    canvas.width = scene.width;
    canvas.height = scene.height;
    const context = canvas.getContext('2d') as Context | null;
    if (!context) throw new ImageError('The canvas has a context that is not "2d"; give one without a context.');
    if (scene.width === this.image.width && scene.height === this.image.height) {
      context.putImageData(this.pixels(), 0, 0);
    } else {
      const small = new OffscreenCanvas(this.image.width, this.image.height);
      small.getContext('2d')!.putImageData(this.pixels(), 0, 0);
      context.imageSmoothingQuality = 'high';
      context.drawImage(small, 0, 0, scene.width, scene.height);
    }
    paintScene(context, scene);
  }

  /** Draws the overlays alone, over whatever the canvas shows, in pixels of the picture times `scale`. */
  paintOverlay(context: Context): void {
    paintScene(context, this.build());
  }

  /** @returns a PNG file */
  async toBlob(): Promise<Blob> {
    const canvas = new OffscreenCanvas(1, 1);
    this.paint(canvas);
    return canvas.convertToBlob({ type: 'image/png' });
  }

  private build(): Scene {
    const { height, width } = this.image;
    this.scene ??= buildScene(height, width, drawnSegments(this.instances, this.maps), this.options);
    return this.scene;
  }

  private pixels(): ImageData {
    const { data, height, width } = this.image;
    const pixels = new ImageData(width, height);
    for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
      pixels.data[to] = data[from];
      pixels.data[to + 1] = data[from + 1];
      pixels.data[to + 2] = data[from + 2];
      pixels.data[to + 3] = 255;
    }
    return pixels;
  }
}

/** The same strokes as the PNG and SVG writers make. */
function paintScene(context: Context, scene: Scene): void {
  context.save();
  context.lineJoin = 'round';
  for (const { color, polygons, lineWidth } of scene.shapes) {
    if (polygons.length === 0) continue;
    const path = pathOf(polygons);
    context.globalAlpha = scene.maskOpacity;
    context.fillStyle = hexColor(color);
    context.fill(path);
    stroke(context, path, '#000', lineWidth + 1.5, 0.35);
    stroke(context, path, hexColor(color), lineWidth, 1);
  }
  context.lineJoin = 'miter';
  for (const { color, box, boxLineWidth, polygons } of scene.shapes) {
    if (!box) continue;
    const path = new Path2D();
    path.rect(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0);
    stroke(context, path, '#000', boxLineWidth + 1.5, 0.2);
    stroke(context, path, hexColor(color), boxLineWidth, polygons.length > 0 ? 0.85 : 1);
  }
  context.lineCap = 'round';
  for (const { skeleton } of scene.shapes) {
    if (!skeleton) continue;
    for (const {
      ends: [x0, y0, x1, y1],
      color,
    } of skeleton.lines) {
      // prettier-ignore
      const path = new Path2D();
      path.moveTo(x0, y0);
      path.lineTo(x1, y1);
      stroke(context, path, hexColor(color), scene.skeletonWidth, 1);
    }
    context.fillStyle = hexColor(POINT_COLOR);
    for (const [x, y] of skeleton.points) {
      const disc = new Path2D();
      disc.arc(x, y, scene.skeletonWidth, 0, 2 * Math.PI);
      context.fill(disc);
    }
  }
  context.lineCap = 'butt';
  for (const { color, place } of scene.labels) {
    if (!place.leader) continue;
    const path = new Path2D();
    path.moveTo(place.leader.x0, place.leader.y0);
    path.lineTo(place.leader.x1, place.leader.y1);
    stroke(context, path, '#000', 2.5, 0.35);
    stroke(context, path, hexColor(color), 1.25, 1);
  }
  context.globalAlpha = 1;
  for (const { color, textColor, place, text, textX, baseline, textWidth } of scene.labels) {
    const chip = new Path2D();
    chip.roundRect(place.x0, place.y0, place.x1 - place.x0, place.y1 - place.y0, scene.fontSize * 0.2);
    context.fillStyle = hexColor(color);
    context.fill(chip);
    context.fillStyle = hexColor(textColor);
    if (canWrite(text)) context.fill(pathOf(textOutlines(text, textX, baseline, scene.fontSize)));
    else {
      // Scripts that the built-in font lacks are left to the browser's.
      context.font = `500 ${scene.fontSize}px system-ui, sans-serif`;
      context.fillText(text, textX, baseline, textWidth);
    }
  }
  context.restore();
}

function stroke(context: Context, path: Path2D, style: string, width: number, alpha: number): void {
  context.globalAlpha = alpha;
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke(path);
}

function pathOf(polygons: readonly Float32Array[]): Path2D {
  const path = new Path2D();
  for (const points of polygons) {
    path.moveTo(points[0], points[1]);
    for (let i = 2; i < points.length; i += 2) path.lineTo(points[i], points[i + 1]);
    path.closePath();
  }
  return path;
}
