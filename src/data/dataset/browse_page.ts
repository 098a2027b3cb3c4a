import { classColor, hexColor } from '../../visualization/colors.js';
import type { CocoAnnotation, CocoDataset, CocoImage } from '../coco/coco_types.js';
import { rleToPolygons } from '../rle/rle_to_polygons.js';
import { segmentationToRle } from '../rle/segmentation.js';
import { escapeHtml, htmlPage, scriptJson } from './html_page.js';

/** One picture of the page. */
export interface BrowsePicture {
  image: CocoImage;
  /** A `data:` address, or undefined where the picture cannot be read. */
  source: string | undefined;
}

/** SVG path data of an object's mask, one decimal; empty without a mask. Fill it with the even-odd rule. */
export function maskPath(a: Pick<CocoAnnotation, 'segmentation'>, height: number, width: number): string {
  const { segmentation } = a;
  if (!segmentation) return '';
  const polygons = Array.isArray(segmentation)
    ? segmentation
    : rleToPolygons(segmentationToRle(segmentation, height, width), { tolerance: 0.7 }).flatMap((p) => [p.outer, ...p.holes]);
  const round = (v: number): number => Math.round(v * 10) / 10;
  return polygons
    .filter((p) => p.length >= 6)
    .map((p) => `M${Array.from({ length: p.length >> 1 }, (_, i) => `${round(p[2 * i]!)} ${round(p[2 * i + 1]!)}`).join('L')}Z`)
    .join('');
}

/** A page of pictures with boxes and masks drawn over them, a filter by class and switches; needs no server and no network. */
export function browsePage(dataset: CocoDataset, pictures: readonly BrowsePicture[], title: string): string {
  const categories = dataset.categories.map((c, i) => ({ id: c.id, name: c.name, color: hexColor(classColor(i)) }));
  const byImage = new Map<number, CocoAnnotation[]>();
  for (const a of dataset.annotations) {
    const list = byImage.get(a.image_id);
    if (list) list.push(a);
    else byImage.set(a.image_id, [a]);
  }
  const items = pictures.map(({ image, source }) => ({
    id: image.id,
    name: image.file_name,
    width: image.width,
    height: image.height,
    source: source ?? '',
    objects: (byImage.get(image.id) ?? []).map((a) => ({
      id: a.id,
      category: a.category_id,
      crowd: a.iscrowd ? 1 : 0,
      box: a.bbox?.length === 4 ? a.bbox.map((v) => Math.round(v * 10) / 10) : null,
      path: maskPath(a, image.height, image.width),
    })),
  }));
  const more = dataset.images.length > pictures.length ? `; the page shows ${pictures.length} of them` : '';
  const body = `<p class="soft">${dataset.images.length} images, ${dataset.annotations.length} objects${more}. Click a picture to enlarge it.</p>
<div class="bar"><label>Class <select id="class"><option value="">all</option>${categories
    .map((c) => `<option value="${c.id}">${escapeHtml(c.name)}</option>`)
    .join('')}</select></label>
<label><input type="checkbox" id="masks" checked> masks</label><label><input type="checkbox" id="boxes" checked> boxes</label><label><input type="checkbox" id="labels" checked> labels</label>
<label>Name <input id="search" type="search" size="14"></label>
<button id="back">&lsaquo; back</button><span id="where"></span><button id="next">next &rsaquo;</button></div><div class="grid" id="grid"></div>`;
  return htmlPage(title, body, {
    style: BROWSE_STYLE,
    script: `const DATA=${scriptJson({ categories, items })};${BROWSE_SCRIPT}`,
  });
}

const BROWSE_STYLE = `.bar{position:sticky;top:0;z-index:1;background:var(--ground);display:flex;flex-wrap:wrap;gap:12px;align-items:center;padding:8px 0;margin-bottom:10px}
.large{grid-column:1/-1}.none{padding:40px;text-align:center}svg text{font:600 13px system-ui,sans-serif;paint-order:stroke;stroke:#000a;stroke-width:3px;fill:#fff}figure{cursor:zoom-in}figure.large{cursor:zoom-out}`;

const BROWSE_SCRIPT = `
const $=id=>document.getElementById(id),PER=24,NS='http://www.w3.org/2000/svg';let page=0,large=-1;
const kinds=new Map(DATA.categories.map(c=>[c.id,c]));
const make=(name,attributes)=>{const e=document.createElementNS(NS,name);for(const k in attributes)e.setAttribute(k,attributes[k]);return e};
function overlay(item,only){
  const svg=make('svg',{viewBox:'0 0 '+item.width+' '+item.height,preserveAspectRatio:'none'}),unit=item.width/420;
  for(const o of item.objects){
    if(only!==''&&o.category!==+only)continue;
    const kind=kinds.get(o.category)||{name:'category '+o.category,color:'#888888'};
    if($('masks').checked&&o.path)svg.append(make('path',{d:o.path,fill:kind.color,'fill-opacity':.35,'fill-rule':'evenodd',stroke:kind.color,'stroke-width':1.3*unit}));
    if(!o.box)continue;
    const [x,y,w,h]=o.box;
    if($('boxes').checked)svg.append(make('rect',{x,y,width:w,height:h,fill:'none',stroke:kind.color,'stroke-width':1.3*unit,'stroke-dasharray':o.crowd?5*unit+' '+4*unit:'none'}));
    if($('labels').checked){const t=make('text',{x:x+2*unit,y:y+12*unit,style:'font-size:'+12*unit+'px'});t.textContent=kind.name+(o.crowd?' (crowd)':'');svg.append(t)}
  }
  return svg}
function show(){
  const only=$('class').value,text=$('search').value.toLowerCase();
  const found=DATA.items.filter(i=>(only===''||i.objects.some(o=>o.category===+only))&&i.name.toLowerCase().includes(text));
  const pages=Math.max(1,Math.ceil(found.length/PER));page=Math.min(Math.max(page,0),pages-1);
  $('where').textContent=found.length+' images, page '+(page+1)+' of '+pages;
  const grid=$('grid');grid.replaceChildren();
  for(const item of found.slice(page*PER,page*PER+PER)){
    const figure=document.createElement('figure'),box=document.createElement('div'),caption=document.createElement('figcaption');
    box.className='picture';
    if(item.source){const img=document.createElement('img');img.src=item.source;img.alt=item.name;img.width=item.width;img.height=item.height;img.style.aspectRatio=item.width+'/'+item.height;box.append(img)}
    else{box.style.aspectRatio=item.width+'/'+item.height;caption.append('(the picture cannot be read) ')}
    box.append(overlay(item,only));
    caption.append(item.name+' · '+item.width+' × '+item.height+' · '+item.objects.length+' objects');
    figure.append(box,caption);if(large===item.id)figure.className='large';
    figure.onclick=()=>{large=large===item.id?-1:item.id;show()};
    grid.append(figure)}
  if(!found.length){const p=document.createElement('p');p.className='none';p.textContent='No image matches.';grid.append(p)}}
for(const id of ['class','masks','boxes','labels','search'])$(id).addEventListener('input',()=>{page=id==='class'||id==='search'?0:page;show()});
$('back').onclick=()=>{page--;show()};$('next').onclick=()=>{page++;show()};show();`;
