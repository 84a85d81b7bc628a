// Time against power of all modes: those within the limits and those outside, their uncertainty, the front, and marks.
import { pareto } from './choose.js';
import { significant, timeText } from './format.js';
import { normalQuantile } from './normal.js';
import { rangeOf } from './data.js';
import { colour } from './theme.js';
import { makeFigure, widened } from './plot.js';

// A column's 90 % intervals as factors of the median, [size]; null where the uncertainty is not known.
function spreadOf(variances) {
  const z = normalQuantile(0.95);
  return variances && variances.map((variance) => Math.exp(z * Math.sqrt(variance)));
}

// Shapes differ as well as colours.
const SHAPES = {
  circle: (context, x, y, r) => context.arc(x, y, r, 0, 2 * Math.PI),
  square: (context, x, y, r) => context.rect(x - r, y - r, 2 * r, 2 * r),
  diamond: (context, x, y, r) => {
    context.moveTo(x, y - 1.3 * r);
    context.lineTo(x + 1.3 * r, y);
    context.lineTo(x, y + 1.3 * r);
    context.lineTo(x - 1.3 * r, y);
    context.closePath();
  },
  triangle: (context, x, y, r) => {
    context.moveTo(x, y - 1.2 * r);
    context.lineTo(x + 1.2 * r, y + r);
    context.lineTo(x - 1.2 * r, y + r);
    context.closePath();
  },
};

// table: of choose.js, with time and power. state(): { inside: Uint8Array [size], isFront, hasIntervals, powerW, timeMs, marks } with marks
// [{ row, shape, colour, size, hasInterval, isFilled, powerW, timeMs }] in the order in which they are drawn; one with powerW and timeMs
// stands there, any other one at its row.
export function makeCloud(table, state, title) {
  const powers = table.logPower.map(Math.exp), times = table.logTime.map(Math.exp);
  const front = pareto(table), all = Array.from(powers.keys());
  const [powerRange, timeRange] = [widened(rangeOf(powers), false), widened(rangeOf(times), true)];

  const spread = { power: spreadOf(table.varPower), time: spreadOf(table.varTime) };

  // Where nine of ten measurements of a row lie, as a line across and one upwards.
  function drawIntervals(context, toX, toY, row, width) {
    const x = toX(powers[row]), y = toY(times[row]);
    if (spread.power) {
      const left = toX(powers[row] / spread.power[row]);
      context.fillRect(left, y - width / 2, toX(powers[row] * spread.power[row]) - left, width);
    }
    if (spread.time) {
      const top = toY(times[row] * spread.time[row]);
      context.fillRect(x - width / 2, top, width, toY(times[row] / spread.time[row]) - top);
    }
  }

  function drawFaintIntervals(context, toX, toY, rows, name, alpha, width) {
    context.fillStyle = colour(name);
    context.globalAlpha = alpha;
    for (const row of rows) drawIntervals(context, toX, toY, row, width);
    context.globalAlpha = 1;
  }

  // The modes as small squares: what is outside the limits first, so that it covers nothing.
  function drawModes(context, box, ratio, inside) {
    const side = Math.round((table.size > 3000 ? 2 : 4) * ratio);
    const across = box.width / (powerRange[1] - powerRange[0]);
    const logs = timeRange.map(Math.log), up = box.height / (logs[1] - logs[0]);
    for (const wanted of [0, 1]) {
      context.fillStyle = colour(wanted === 1 ? 'point' : 'out');
      for (let row = 0; row < table.size; ++row) {
        if (inside[row] !== wanted) continue;
        const x = box.left + (powers[row] - powerRange[0]) * across, y = box.top + (logs[1] - table.logTime[row]) * up;
        context.fillRect(Math.round(x - side / 2), Math.round(y - side / 2), side, side);
      }
    }
  }

  function drawFront(context, toX, toY, ratio) {
    context.strokeStyle = colour('front');
    context.lineWidth = 2 * ratio;
    context.beginPath();
    front.forEach((row, i) => (i === 0 ? context.moveTo(toX(powers[row]), toY(times[row])) : context.lineTo(toX(powers[row]), toY(times[row]))));
    context.stroke();
  }

  function drawLimit(context, at, box, ratio, isAcross) {
    context.strokeStyle = colour('limit');
    context.lineWidth = 2 * ratio;
    context.setLineDash([6 * ratio, 4 * ratio]);
    context.beginPath();
    context.moveTo(isAcross ? box.left : at, isAcross ? at : box.top);
    context.lineTo(isAcross ? box.left + box.width : at, isAcross ? at : box.top + box.height);
    context.stroke();
    context.setLineDash([]);
  }

  function drawMark(context, toX, toY, mark, ratio) {
    context.fillStyle = colour(mark.colour);
    if (mark.hasInterval) drawIntervals(context, toX, toY, mark.row, 2 * ratio);
    const x = toX(mark.powerW ?? powers[mark.row]), y = toY(mark.timeMs ?? times[mark.row]);
    if (Number.isNaN(x + y)) return;
    context.beginPath();
    SHAPES[mark.shape](context, x, y, mark.size * ratio);
    context.lineWidth = 2 * ratio;
    context.strokeStyle = colour(mark.isFilled ? 'back' : mark.colour);
    if (mark.isFilled) context.fill();
    context.stroke();
  }

  const figure = makeFigure({
    title,
    x: { label: 'power, W', range: () => powerRange },
    y: { label: 'time, ms', range: () => timeRange, isLog: true },
    data: [powerRange, timeRange],
    series: [{ scale: 'y', paths: () => null, points: { show: false } }],
    draw(context, toX, toY, box) {
      const now = state(), ratio = devicePixelRatio || 1;
      if (now.hasIntervals) drawFaintIntervals(context, toX, toY, all, 'point', 0.15, 1);
      drawModes(context, box, ratio, now.inside);
      if (now.isFront) {
        drawFaintIntervals(context, toX, toY, front, 'front', 0.3, ratio);
        drawFront(context, toX, toY, ratio);
      }
      if (Number.isFinite(now.powerW)) drawLimit(context, toX(now.powerW), box, ratio, false);
      if (Number.isFinite(now.timeMs)) drawLimit(context, toY(now.timeMs), box, ratio, true);
      for (const mark of now.marks) drawMark(context, toX, toY, mark, ratio);
    },
  });

  // The row nearest to a place in the figure, in CSS pixels; -1 where none is near.
  figure.rowAt = (left, top, most = 12) => {
    let nearest = -1, least = most * most;
    const { width, height } = figure.plot.over.getBoundingClientRect();
    const across = width / (powerRange[1] - powerRange[0]);
    const logs = timeRange.map(Math.log), up = height / (logs[1] - logs[0]);
    for (let row = 0; row < table.size; ++row) {
      const x = (powers[row] - powerRange[0]) * across - left, y = (logs[1] - table.logTime[row]) * up - top;
      const distance = x * x + y * y;
      if (distance < least) [nearest, least] = [row, distance];
    }
    return nearest;
  };
  // The power at a place across, in CSS pixels.
  figure.powerAt = (left) => {
    const { width } = figure.plot.over.getBoundingClientRect();
    return powerRange[0] + (Math.min(width, Math.max(0, left)) / width) * (powerRange[1] - powerRange[0]);
  };
  figure.text = (row) => `${significant(powers[row])} W, ${timeText(times[row])}`;
  figure.front = front;
  return figure;
}
