import { hexColor } from './colors.js';
import { canWrite, textOutlines } from './label_font.js';
import { encodePng } from './png.js';
import type { Canvas } from './raster.js';
import { buildScene, type DrawnInstance, type DrawOptions } from './scene.js';
import { POINT_COLOR } from './skeleton.js';

/**
 * Draws instances as an SVG document. Needs no DOM and, for Latin labels, no fonts; each label also has its text as a title.
 * @param image  the picture to lie under them: RGB pixels (embedded as PNG), or an address (linked); undefined for overlays alone
 * @param height size of the picture, pixels
 * @param width  size of the picture, pixels
 * @throws ArgumentError for an instance or option that cannot be drawn
 */
export function drawInstancesSvg(
  image: Canvas | string | undefined,
  height: number,
  width: number,
  instances: readonly DrawnInstance[],
  options: DrawOptions = {},
): string {
  const scene = buildScene(height, width, instances, options);
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${scene.width}" height="${scene.height}" viewBox="0 0 ${scene.width} ${scene.height}">`,
  ];
  if (image !== undefined) {
    const address =
      typeof image === 'string' ? image : `data:image/png;base64,${base64(encodePng(image.data, image.height, image.width))}`;
    lines.push(
      `<image width="${scene.width}" height="${scene.height}" preserveAspectRatio="none" href="${escapeXml(address)}"/>`,
    );
  }
  for (const { color, text, className, polygons, lineWidth } of scene.shapes) {
    if (polygons.length === 0) continue;
    const path = polygons.map(pathOf).join('');
    lines.push(
      `<g data-class="${escapeXml(className)}" stroke-linejoin="round"><title>${escapeXml(text)}</title>`,
      `<path d="${path}" fill="${hexColor(color)}" fill-opacity="${scene.maskOpacity}" stroke="#000" stroke-opacity="0.35" stroke-width="${lineWidth + 1.5}"/>`,
      `<path d="${path}" fill="none" stroke="${hexColor(color)}" stroke-width="${lineWidth}"/></g>`,
    );
  }
  for (const { color, box, boxLineWidth, polygons } of scene.shapes) {
    if (!box) continue;
    const rectangle = `<rect x="${short(box.x0)}" y="${short(box.y0)}" width="${short(box.x1 - box.x0)}" height="${short(box.y1 - box.y0)}" fill="none"`;
    lines.push(
      `${rectangle} stroke="#000" stroke-opacity="0.2" stroke-width="${boxLineWidth + 1.5}"/>`,
      `${rectangle} stroke="${hexColor(color)}" stroke-opacity="${polygons.length > 0 ? 0.85 : 1}" stroke-width="${boxLineWidth}"/>`,
    );
  }
  for (const { skeleton } of scene.shapes) {
    if (!skeleton) continue;
    for (const {
      ends: [x0, y0, x1, y1],
      color,
    } of skeleton.lines)
      lines.push(
        `<path d="M${short(x0)} ${short(y0)}L${short(x1)} ${short(y1)}" stroke-linecap="round" stroke="${hexColor(color)}" stroke-width="${short(scene.skeletonWidth)}"/>`,
      );
    for (const [x, y] of skeleton.points)
      lines.push(`<circle cx="${short(x)}" cy="${short(y)}" r="${short(scene.skeletonWidth)}" fill="${hexColor(POINT_COLOR)}"/>`);
  }
  for (const { color, place } of scene.labels) {
    if (!place.leader) continue;
    const path = `<path d="M${short(place.leader.x0)} ${short(place.leader.y0)}L${short(place.leader.x1)} ${short(place.leader.y1)}" stroke-linecap="round"`;
    lines.push(
      `${path} stroke="#000" stroke-opacity="0.35" stroke-width="2.5"/>`,
      `${path} stroke="${hexColor(color)}" stroke-width="1.25"/>`,
    );
  }
  lines.push(`<g font-family="Roboto, 'Helvetica Neue', Arial, sans-serif" font-weight="500" font-size="${scene.fontSize}">`);
  for (const { color, textColor, place, text, textX, baseline, textWidth } of scene.labels) {
    const [w, h] = [place.x1 - place.x0, place.y1 - place.y0];
    const chip = `<rect x="${short(place.x0)}" y="${short(place.y0)}" width="${short(w)}" height="${short(h)}" rx="${short(scene.fontSize * 0.2)}"`;
    const fill = `fill="${hexColor(textColor)}"`;
    // Outlines look the same in every viewer; scripts that the built-in font lacks are left to the viewer's fonts.
    const writing = canWrite(text)
      ? `<path ${fill} d="${textOutlines(text, textX, baseline, scene.fontSize).map(pathOf).join('')}"/>`
      : `<text ${fill} x="${short(textX)}" y="${short(baseline)}" textLength="${short(textWidth)}" lengthAdjust="spacingAndGlyphs">${escapeXml(text)}</text>`;
    lines.push(`<g><title>${escapeXml(text)}</title>${chip} fill="${hexColor(color)}"/>${writing}</g>`);
  }
  lines.push('</g>', '</svg>', '');
  return lines.join('\n');
}

/** Half surrogate pairs and the control characters that XML 1.0 does not allow. */
// eslint-disable-next-line no-control-regex -- control characters are what it is for
const forbidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\p{Surrogate}]/gu;

/** Text as it may stand in XML content and attributes; characters that XML forbids become U+FFFD. */
export function escapeXml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(forbidden, '\ufffd').replace(/[&<>"']/g, (character) => entities[character]);
}

function pathOf(polygon: Float32Array): string {
  let path = '';
  for (let i = 0; i < polygon.length; i += 2) path += `${i === 0 ? 'M' : 'L'}${short(polygon[i])} ${short(polygon[i + 1])}`;
  return `${path}Z`;
}

/** At most two decimals. */
function short(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}
