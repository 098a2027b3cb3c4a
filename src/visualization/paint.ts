import { strokePolygons, fillPolygons, roundedRectangle, type Canvas } from './raster.js';
import { textOutlines } from './label_font.js';
import { POINT_COLOR } from './skeleton.js';
import type { Scene } from './scene.js';

/** Paints a scene over a picture, in place. Needs no DOM, no fonts and no native code. */
export function paintScene(canvas: Canvas, scene: Scene): void {
  for (const { color, polygons, lineWidth } of scene.shapes) {
    if (polygons.length === 0) continue;
    fillPolygons(canvas, polygons, color, scene.maskOpacity);
    // A dark rim keeps light colours visible on light ground.
    strokePolygons(canvas, polygons, lineWidth + 1.5, [0, 0, 0], 0.35);
    strokePolygons(canvas, polygons, lineWidth, color);
  }
  for (const { color, box, boxLineWidth, polygons } of scene.shapes) {
    if (!box) continue;
    const outline = [Float32Array.of(box.x0, box.y0, box.x1, box.y0, box.x1, box.y1, box.x0, box.y1)];
    strokePolygons(canvas, outline, boxLineWidth + 1.5, [0, 0, 0], 0.2);
    strokePolygons(canvas, outline, boxLineWidth, color, polygons.length > 0 ? 0.85 : 1);
  }
  for (const { skeleton } of scene.shapes) {
    if (!skeleton) continue;
    for (const { ends, color } of skeleton.lines)
      strokePolygons(canvas, [Float32Array.from(ends)], scene.skeletonWidth, color, 1, false);
    const r = scene.skeletonWidth;
    for (const [x, y] of skeleton.points) fillPolygons(canvas, [roundedRectangle(x - r, y - r, x + r, y + r, r)], POINT_COLOR);
  }
  for (const { color, place } of scene.labels) {
    if (!place.leader) continue;
    const line = [Float32Array.of(place.leader.x0, place.leader.y0, place.leader.x1, place.leader.y1)];
    strokePolygons(canvas, line, 2.5, [0, 0, 0], 0.35, false);
    strokePolygons(canvas, line, 1.25, color, 1, false);
  }
  for (const { color, textColor, place, text, textX, baseline } of scene.labels) {
    fillPolygons(canvas, [roundedRectangle(place.x0, place.y0, place.x1, place.y1, scene.fontSize * 0.2)], color);
    fillPolygons(canvas, textOutlines(text, textX, baseline, scene.fontSize), textColor);
  }
}
