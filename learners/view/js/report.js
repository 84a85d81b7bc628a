// A report: headings, texts, tables and figures in an order that its writer chose. Blocks, by their kind:
//   heading { level, text }   text { text }   pre { text }   terms { terms: [[name, text]] }   fold { title, blocks }
//   table { header: [text], rows: [[cell]] }: a cell is a text, or { text, small, isBest, colour }
//   figures { caption, figures: [figure] }
// A figure is { title, x, y, lines, dots } with axes { label, isLog, range: [low, high], names: what stands at 0, 1, 2, ... },
// lines { name, colour, x, y, low, high, texts, width, alpha, isDashed, isSteps, hasDots }: null is no value, low to high is drawn as a bar,
// and dots { name, colour, x, y, texts, size, alpha, shape: "circle", "cross" or "ring" }.
// A colour is the position of a line's colour, or a name of page.css. Names make the key below a figure, texts are shown at a pointer.
import { rangeOf } from './data.js';
import { make } from './dom.js';
import { colour } from './theme.js';
import { makeFigure, seriesColourName, widened } from './plot.js';

const colourName = (of) => (typeof of === 'number' ? seriesColourName(of) : of);
const dashOf = (line) => (line.isDashed ? [4, 3] : typeof line.colour === 'number' && line.colour >= 8 ? [9, 3] : []);

// The range of an axis: as asked for, else what covers all values.
export function axisRange(axis, figure, key) {
  if (axis.range) return axis.range;
  if (axis.names) return [-0.35, axis.names.length - 0.65];
  const keys = key === 'y' ? ['y', 'low', 'high'] : ['x'];
  const values = [...figure.lines, ...figure.dots].flatMap((one) => keys.flatMap((name) => one[name] ?? []));
  return widened(rangeOf(axis.isLog ? values.map((value) => (value > 0 ? value : null)) : values) ?? [1, 2], axis.isLog);
}

// The text of what is nearest to a place in pixels, at most so far away; "" for nothing. places: [[x, y, text]].
export function textAt(places, x, y, most = 14) {
  let nearest = '', least = most * most;
  for (const [px, py, text] of places) {
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) [nearest, least] = [text, distance];
  }
  return nearest;
}

function drawLine(context, line, toX, toY, ratio) {
  context.strokeStyle = context.fillStyle = colour(colourName(line.colour));
  context.globalAlpha = line.alpha ?? 1;
  context.lineWidth = (line.width ?? 2) * ratio;
  context.setLineDash(dashOf(line).map((dash) => dash * ratio));
  context.beginPath();
  let before = null;
  line.x.forEach((value, i) => {
    if (line.y[i] === null) return;
    const [x, y] = [toX(value), toY(line.y[i])];
    if (before === null) context.moveTo(x, y);
    else {
      if (line.isSteps) context.lineTo(x, before);
      context.lineTo(x, y);
    }
    before = y;
  });
  context.stroke();
  context.setLineDash([]);
  line.x.forEach((value, i) => {
    if (line.y[i] === null) return;
    const x = toX(value);
    context.globalAlpha = 0.45;
    if (line.low && line.low[i] !== null && line.high[i] !== null) {
      const [top, bottom] = [toY(line.high[i]), toY(line.low[i])];
      context.fillRect(x - ratio, top, 2 * ratio, bottom - top);
    }
    context.globalAlpha = 1;
    if (line.hasDots) drawDot(context, x, toY(line.y[i]), 'circle', 3.5 * ratio);
  });
}

function drawDot(context, x, y, shape, r) {
  context.beginPath();
  if (shape === 'cross') {
    context.moveTo(x - r, y - r);
    context.lineTo(x + r, y + r);
    context.moveTo(x - r, y + r);
    context.lineTo(x + r, y - r);
  } else {
    context.arc(x, y, r, 0, 2 * Math.PI);
  }
  if (shape === 'circle') context.fill();
  else context.stroke();
}

function drawDots(context, dots, toX, toY, ratio) {
  context.strokeStyle = context.fillStyle = colour(colourName(dots.colour));
  context.lineWidth = 2 * ratio;
  dots.x.forEach((value, i) => {
    context.globalAlpha = Array.isArray(dots.alpha) ? dots.alpha[i] : dots.alpha ?? 1;
    if (dots.y[i] !== null) drawDot(context, toX(value), toY(dots.y[i]), dots.shape ?? 'circle', (dots.size ?? 3) * ratio);
  });
  context.globalAlpha = 1;
}

function figureElement(stored) {
  const hint = make('p', { class: 'quiet hint' });
  const ranges = { x: axisRange(stored.x, stored, 'x'), y: axisRange(stored.y, stored, 'y') };
  const axis = (key) => {
    const { label, isLog, names } = stored[key];
    return { label, isLog, range: () => ranges[key], ticks: names?.map((_, i) => i), tickText: names ? (value) => names[value] : undefined };
  };
  let places = [];
  const figure = makeFigure({
    title: stored.title,
    x: axis('x'),
    y: axis('y'),
    data: [ranges.x, ranges.y],
    series: [{ scale: 'y', paths: () => null, points: { show: false } }],
    draw(context, toX, toY, box) {
      const ratio = devicePixelRatio || 1;
      for (const line of stored.lines) drawLine(context, line, toX, toY, ratio);
      for (const dots of stored.dots) drawDots(context, dots, toX, toY, ratio);
      places = [...stored.lines, ...stored.dots].flatMap((one) => (one.texts ?? []).map((text, i) =>
        [(toX(one.x[i]) - box.left) / ratio, (toY(one.y[i]) - box.top) / ratio, text]));
    },
  });
  const { over } = figure.plot;
  over.addEventListener('pointermove', (event) => {
    const { left, top } = over.getBoundingClientRect();
    hint.textContent = textAt(places, event.clientX - left, event.clientY - top);
  });
  over.addEventListener('pointerleave', () => (hint.textContent = ''));
  const named = [...stored.lines, ...stored.dots].filter((one) => one.name);
  return make('div', { class: 'panel-figure' }, make('h4', {}, stored.title), figure.element, hint, make('p', { class: 'quiet' }, ...named.map((one) =>
    make('span', {}, make('span', { class: stored.dots.includes(one) ? 'key' : 'key line', style: `background: var(--${colourName(one.colour)})` }), one.name))));
}

function cellElement(name, cell) {
  if (typeof cell === 'string') return make(name, { class: /^[-+\d∞–]/.test(cell) ? 'number' : null }, cell);
  const mark = cell.colour === undefined ? null : make('span', { class: 'key', style: `background: var(--${colourName(cell.colour)})` });
  const small = cell.small ? make('small', { class: 'quiet' }, ` ${cell.small}`) : null;
  return make(name, { class: mark ? null : cell.isBest ? 'number best' : 'number' }, mark, cell.text, small);
}

const blocks = {
  heading: ({ level, text }) => make(`h${level}`, {}, text),
  text: ({ text }) => make('p', {}, text),
  pre: ({ text }) => make('pre', { class: 'scroll' }, text),
  terms: ({ terms }) => make('dl', {}, ...terms.flatMap(([name, text]) => [make('dt', {}, name), make('dd', {}, text)])),
  fold: ({ title, blocks: inside }) => make('details', {}, make('summary', {}, title), ...inside.map(blockElement)),
  table: ({ header, rows }) => make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, make('tr', {}, ...header.map((text, c) =>
    make('th', { scope: 'col', class: c > 0 ? 'number' : null }, text)))), make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((cell) => cellElement('td', cell))))))),
  figures: ({ figures, caption }) => make('figure', {}, make('div', { class: figures.length > 1 ? 'panels' : null }, ...figures.map(figureElement)),
    caption ? make('figcaption', { class: 'quiet' }, caption) : null),
};
const blockElement = (block) => blocks[block.kind](block);

export const showReport = (part) => make('article', {}, ...part.blocks.map(blockElement));
