/** Text as it stands in HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** JSON that cannot end the script element that it stands in. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replace(/</g, '\\u003c')
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029');
}

/** The colours and sizes that our pages share; follows the reader's light or dark setting. */
const STYLE = `
:root{color-scheme:light dark;--ground:#fff;--panel:#f4f5f7;--line:#d5d8de;--text:#1c2026;--soft:#606873;--accent:#0a6ed1}
@media(prefers-color-scheme:dark){:root{--ground:#15181c;--panel:#1f2329;--line:#363c45;--text:#e6e8eb;--soft:#9aa3ae;--accent:#5cb2ff}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--text);font:15px/1.45 system-ui,sans-serif}
header{padding:14px 20px;border-bottom:1px solid var(--line)}h1{font-size:20px;margin:0}h2{font-size:17px;margin:28px 0 10px}h3{font-size:15px;margin:18px 0 6px}
p{margin:6px 0}.soft{color:var(--soft)}main{padding:12px 20px 40px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:3px 10px;border-bottom:1px solid var(--line);text-align:right}th:first-child,td:first-child{text-align:left}th{font-weight:600}
button,select,input{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);border-radius:5px;padding:3px 9px}
figure{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:6px;overflow:hidden}figcaption{padding:5px 9px;font-size:13px;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));gap:14px}.picture{position:relative;display:block}.picture img,.picture svg{display:block;width:100%;height:auto}.picture svg{position:absolute;inset:0;height:100%}
`;

/** A page that needs nothing but itself: styles and scripts are inside, pictures are data. */
export function htmlPage(title: string, body: string, options: { style?: string; script?: string } = {}): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title><style>${STYLE}${options.style ?? ''}</style></head>
<body><header><h1>${escapeHtml(title)}</h1></header><main>${body}</main>
${options.script === undefined ? '' : `<script>${options.script}</script>`}</body></html>
`;
}
