import { classColor, hexColor, type Instance } from '../../src/browser/index.js';

interface Row {
  readonly item: HTMLLIElement;
  readonly button: HTMLButtonElement;
  readonly swatch: HTMLElement;
  readonly name: Text;
  readonly score: HTMLElement;
}

/** The instances as a list; each can be reached by keyboard and marks itself in the picture. Rows stay what they are from picture to picture, and so does the focus. */
export class InstanceList {
  private readonly rows: Row[] = [];
  private readonly none = document.createElement('li');
  private instances: readonly Instance[] = [];
  /** Hears which row is under the pointer or has the focus. */
  onActive: (instance: Instance | undefined) => void = () => undefined;

  constructor(
    private readonly list: HTMLElement,
    private readonly title: HTMLElement,
  ) {
    this.none.className = 'none';
    this.none.textContent = 'No picture yet.';
    list.append(this.none);
    // Holds the focus while there is no row for it.
    list.tabIndex = -1;
  }

  show(instances: readonly Instance[]): void {
    this.instances = instances;
    const { activeElement } = document;
    const focused = activeElement === this.list ? 0 : this.rows.findIndex(({ button }) => button === activeElement);
    while (this.rows.length < instances.length) this.rows.push(this.newRow(this.rows.length));
    for (const { item } of this.rows.splice(instances.length)) item.remove();
    instances.forEach((instance, i) => {
      const { item, swatch, name, score } = this.rows[i];
      swatch.style.background = hexColor(classColor(instance.classIndex));
      name.data = instance.className;
      score.textContent = `${Math.round(instance.score * 100)} %`;
      if (!item.isConnected) this.list.append(item);
    });
    this.none.textContent = 'Nothing above this score.';
    if (instances.length === 0) this.list.append(this.none);
    else this.none.remove();
    this.title.textContent = instances.length === 0 ? 'Found' : `Found ${instances.length}`;
    if (focused < 0) return;
    // What the focused row tells is of the new picture; the focus of a row that is gone goes to the last.
    const row = this.rows[Math.min(focused, this.rows.length - 1)] as Row | undefined;
    if (!row) this.list.focus();
    else if (row.button !== document.activeElement) row.button.focus();
    else this.onActive(instances[focused]);
  }

  /** Marks the row of an instance. */
  mark(instance: Instance | undefined): void {
    const index = instance ? this.instances.indexOf(instance) : -1;
    this.rows.forEach(({ button }, i) => button.classList.toggle('active', i === index));
  }

  private newRow(index: number): Row {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    // The details that the tip shows are spoken too.
    button.setAttribute('aria-describedby', 'tip');
    const swatch = document.createElement('i');
    const name = document.createTextNode('');
    const score = document.createElement('b');
    button.append(swatch, name, score);
    item.append(button);
    for (const type of ['pointerenter', 'focus', 'click'])
      button.addEventListener(type, () => this.onActive(this.instances[index]));
    button.addEventListener('blur', () => this.onActive(undefined));
    button.addEventListener('pointerleave', ({ pointerType }) => {
      // A finger leaves when it is lifted: what it touched stays on show.
      if (pointerType !== 'touch' && button !== document.activeElement) this.onActive(undefined);
    });
    return { item, button, swatch, name, score };
  }
}
