import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';

/** Waits until the page of examples/web says something. */
export const says = (page: Page, text: RegExp): Promise<unknown> => shows(page, 'status', text);

/** Waits until it says that something is wrong. */
export const tells = (page: Page, text: RegExp): Promise<unknown> => shows(page, 'problem', text);

function shows(page: Page, id: string, text: RegExp): Promise<unknown> {
  const shown = ([id, source]: [string, string]): boolean => new RegExp(source).test(document.getElementById(id)!.textContent!);
  return page.waitForFunction(shown, [id, text.source] as [string, string], { timeout: 90_000 });
}

/** Drops a file of the repository on the page, as a file manager does. */
export async function drop(page: Page, path: string, name: string): Promise<void> {
  const bytes = [...readFileSync(new URL(`../../${path}`, import.meta.url))];
  const transfer = await page.evaluateHandle(
    ([bytes, name]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(bytes)], name));
      return transfer;
    },
    [bytes, name] as const,
  );
  await page.dispatchEvent('#stage', 'drop', { dataTransfer: transfer });
}
