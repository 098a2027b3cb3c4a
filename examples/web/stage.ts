import { type Instance, InstanceMask, type Prediction } from '../../src/browser/index.js';

interface Pointer {
  readonly clientX: number;
  readonly clientY: number;
}

/** The picture with its instances, and what is told of the one under the pointer. */
export class Stage {
  private readonly view = element<HTMLDivElement>('view');
  private readonly picture = element<HTMLCanvasElement>('picture');
  private readonly highlight = element<HTMLCanvasElement>('highlight');
  private readonly tip = element<HTMLDivElement>('tip');
  private shown: Prediction | undefined;
  private active: Instance | undefined;
  private pointer: Pointer | undefined;
  private scale = 1;
  /** Hears which instance is under the pointer. */
  onActive: (instance: Instance | undefined) => void = () => undefined;

  constructor(private readonly container: HTMLElement) {
    for (const type of ['pointermove', 'pointerdown'] as const) this.picture.addEventListener(type, (event) => this.point(event));
    this.picture.addEventListener('pointerleave', ({ pointerType }) => {
      // A finger leaves when it is lifted: what it touched stays on show until it touches something else.
      if (pointerType !== 'touch') this.leave();
    });
    document.addEventListener('pointerdown', ({ target }) => target !== this.picture && this.leave());
    document.addEventListener('keydown', ({ key }) => key === 'Escape' && this.leave());
  }

  /** @param prediction with the instances to draw, those under the least score left out */
  show(prediction: Prediction): void {
    this.shown = prediction;
    // Small pictures are drawn larger, so that labels can be read.
    this.scale = Math.min(6, Math.max(1, Math.round(960 / Math.max(prediction.width, prediction.height))));
    // On a phone the picture is shown smaller than it is drawn; its labels stay as large as the page's small print.
    const shrunk = (prediction.width * this.scale) / Math.min(prediction.width * this.scale, this.container.clientWidth);
    const side = Math.sqrt(prediction.width * prediction.height) * this.scale;
    const fontSize = Math.round(Math.max(8 + side / 95, 11 * shrunk));
    prediction.draw({ scale: this.scale, fontSize }).paint(this.picture);
    this.picture.setAttribute('aria-label', describe(prediction));
    element('empty').hidden = true;
    this.view.hidden = false;
    if (this.active && !prediction.instances.includes(this.active)) this.activate(undefined);
    if (this.pointer) this.point(this.pointer);
  }

  /** Marks one instance and tells about it, at a place of the page or beside its box. */
  activate(instance: Instance | undefined, at?: { x: number; y: number }): void {
    if (instance !== this.active) {
      this.active = instance;
      this.highlight.width = this.picture.width;
      this.highlight.height = this.picture.height;
      this.view.classList.toggle('hovering', instance !== undefined);
      if (instance && this.shown) this.paintAlone(instance, this.shown);
      this.onActive(instance);
    }
    this.tip.hidden = instance === undefined;
    if (instance) this.tell(instance, at);
  }

  private paintAlone(instance: Instance, shown: Prediction): void {
    const context = this.highlight.getContext('2d')!;
    // The picture itself shines through the instance; everything else is dimmed.
    const crop = instance.mask instanceof InstanceMask ? instance.mask.polygons() : [];
    context.save();
    const path = new Path2D();
    for (const { points } of crop) {
      for (let i = 0; i < points.length; i += 2)
        path[i === 0 ? 'moveTo' : 'lineTo'](points[i] * this.scale, points[i + 1] * this.scale);
      path.closePath();
    }
    if (crop.length > 0) context.clip(path, 'evenodd');
    else {
      const [x0, y0, x1, y1] = instance.box.map((v) => v * this.scale);
      context.beginPath();
      context.rect(x0, y0, x1 - x0, y1 - y0);
      context.clip();
    }
    context.drawImage(this.picture, 0, 0);
    context.restore();
    shown
      .filter((other) => other === instance)
      .draw({ scale: this.scale, maskOpacity: 0.12, showLabels: false })
      .paintOverlay(context);
  }

  /** Tells about what lies at a place of the page, and again when the next picture comes. */
  private point({ clientX, clientY }: Pointer): void {
    this.pointer = { clientX, clientY };
    if (!this.shown) return;
    const bounds = this.picture.getBoundingClientRect();
    const x = ((clientX - bounds.left) / bounds.width) * this.shown.width;
    const y = ((clientY - bounds.top) / bounds.height) * this.shown.height;
    this.activate(this.shown.instanceAt(x, y), { x: clientX, y: clientY });
  }

  private leave(): void {
    this.pointer = undefined;
    this.activate(undefined);
  }

  private tell(instance: Instance, at: { x: number; y: number } | undefined): void {
    const [x0, y0, x1, y1] = instance.box;
    const area = instance.mask?.area();
    const lines = [
      `score ${(instance.score * 100).toFixed(1)} %`,
      `box ${Math.round(x1 - x0)} × ${Math.round(y1 - y0)} px at ${Math.round(x0)}, ${Math.round(y0)}`,
      ...(area === undefined ? [] : [`mask ${area.toLocaleString('en')} px`]),
    ];
    const name = document.createElement('strong');
    name.textContent = instance.className;
    this.tip.replaceChildren(name, ...lines.flatMap((line, i) => (i ? [document.createElement('br'), line] : [line])));
    const stage = this.container.getBoundingClientRect();
    const bounds = this.picture.getBoundingClientRect();
    const across = (x: number): number => bounds.left - stage.left + (x / this.shown!.width) * bounds.width;
    // Beside the pointer or the box: on the left where the right has no room.
    const [from, to] = at ? [at.x - stage.left, at.x - stage.left] : [across(x0), across(x1)];
    const y = at ? at.y - stage.top : bounds.top - stage.top + (y0 / this.shown!.height) * bounds.height;
    const fits = to + 14 + this.tip.offsetWidth + 6 <= stage.width;
    const left = fits ? to + 14 : from - 14 - this.tip.offsetWidth;
    const top = Math.min(y + 14, stage.height - this.tip.offsetHeight - 6);
    this.tip.style.left = `${Math.max(6, left)}px`;
    this.tip.style.top = `${Math.max(6, top)}px`;
  }
}

function describe({ instances }: Prediction): string {
  const counts = new Map<string, number>();
  for (const { className } of instances) counts.set(className, (counts.get(className) ?? 0) + 1);
  const list = [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
  return `The picture with what was found: ${list || 'nothing'}`;
}

/** An element of the page that is there. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no element '${id}'.`);
  return found as T;
}
