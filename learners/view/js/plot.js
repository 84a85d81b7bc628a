// Figures by uPlot: axes, lines, sizes. What lines cannot show is drawn on its canvas by the figure itself.
import { significant } from './format.js';
import { colour, onTheme } from './theme.js';

const live = new Set();  // figures that are on the page
const HEIGHT = (width) => Math.round(Math.min(460, Math.max(260, width * 0.6)));

// Round numbers in [low, high] for a logarithmic axis: 1, 2 and 5 of each decade, more of them where the range is short.
export function logTicks(low, high) {
  const wide = high / low;
  const steps = wide > 8 ? [1, 2, 5] : wide > 2.5 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : null;
  if (steps === null) return linearTicks(low, high);
  const ticks = [];
  for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
    for (const step of steps) {
      const tick = Number((step * decade).toPrecision(3));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

// About six round numbers in [low, high].
export function linearTicks(low, high) {
  const rough = (high - low) / 6, decade = 10 ** Math.floor(Math.log10(rough));
  const step = decade * [1, 2, 5, 10].find((factor) => factor * decade >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12); ++i) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

// A range with some room around it, never empty.
export function widened([low, high], isLog) {
  if (isLog) {
    const room = high > low ? (high / low) ** 0.04 : 1.1;
    return [low / room, high * room];
  }
  const room = high > low ? 0.04 * (high - low) : Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

const axis = (scale, { label, range, isLog, ticks, tickText }) => ({
  scale,
  label,
  labelSize: 22,
  size: scale === 'x' ? 36 : 58,
  stroke: () => colour('text'),
  grid: { stroke: () => colour('line'), width: 1 },
  ticks: { stroke: () => colour('line'), width: 1 },
  splits: () => ticks ?? (isLog ? logTicks(...range()) : linearTicks(...range())),
  filter: (u, splits) => splits,
  values: (u, splits) => splits.map(tickText ?? ((value) => significant(value, 4))),
});

// A figure. x, y: { label, range: () => [low, high], isLog, ticks, tickText }. data: uPlot's columns. series: uPlot's, without the first.
// draw(context, toX, toY, box): after the lines, in pixels of the canvas. Returns { element, redraw, setData, uplot }.
export function makeFigure({ x, y, data, series, bands, draw, title }) {
  const element = document.createElement('div');
  element.className = 'chart';
  element.setAttribute('role', 'img');
  element.setAttribute('aria-label', title);
  const options = {
    width: 600,
    height: HEIGHT(600),
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    select: { show: false },
    scales: {
      x: { time: false, distr: x.isLog ? 3 : 1, range: () => x.range() },
      y: { distr: y.isLog ? 3 : 1, range: () => y.range() },
    },
    axes: [axis('x', x), axis('y', y)],
    series: [{}, ...series],
    bands: bands ?? [],
    hooks: {
      draw: draw ? [(u) => {
        const { left, top, width, height } = u.bbox, context = u.ctx;
        context.save();
        context.beginPath();
        context.rect(left, top, width, height);
        context.clip();
        draw(context, (value) => u.valToPos(value, 'x', true), (value) => u.valToPos(value, 'y', true), { left, top, width, height });
        context.restore();
      }] : [],
    },
  };
  const plot = new uPlot(options, data, element);
  const figure = {
    element,
    plot,
    redraw: () => plot.redraw(false),
    setData: (columns) => plot.setData(columns),
    resize() {
      if (!live.has(figure)) return;
      const width = Math.floor(element.clientWidth);
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT(width) });
    },
  };
  // In a frame of its own: a new width also changes the height, which a browser calls a loop inside the observer.
  const observer = new ResizeObserver(() => requestAnimationFrame(figure.resize));
  observer.observe(element);
  figure.close = () => {
    observer.disconnect();
    live.delete(figure);
    plot.destroy();
  };
  live.add(figure);
  return figure;
}

// The name of the colour of the n-th line.
export const seriesColourName = (position) => `s${position % 8}`;

// Before another part is shown.
export function closeFigures() {
  for (const figure of [...live]) figure.close();
}

export function followTheme() {
  onTheme(() => live.forEach((figure) => figure.redraw()));
}

// A line of uPlot in a colour of page.css. More: uPlot's options.
export const lineOf = (name, label, more = {}) => ({
  label,
  scale: 'y',
  stroke: () => colour(name),
  width: 2,
  points: { show: false },
  ...more,
});
