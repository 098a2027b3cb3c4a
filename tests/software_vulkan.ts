import { existsSync } from 'node:fs';

/** Where Debian's chromium keeps the description of its software Vulkan driver. */
const DRIVER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** The environment that lets Dawn find a Vulkan driver: the one that is named already, else chromium's; nothing where there is none. */
export function softwareVulkan(): Record<string, string> {
  const driver = process.env.VK_DRIVER_FILES ?? (existsSync(DRIVER) ? DRIVER : undefined);
  return driver === undefined ? {} : { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver };
}
