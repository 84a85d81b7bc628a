// A log of fewwatt govern over time: power beside the budget, the time of a step, the settings, and what happened.
import { rangeOf } from './data.js';
import { keyed, make, makeTable } from './dom.js';
import { knobTitle, percent, settingText, significant, timeText } from './format.js';
import { lineOf, makeFigure, seriesColourName, widened } from './plot.js';
import { colour } from './theme.js';

// Numbers of a run: windows, those with a power, and the shares of their seconds inside the budget; seconds count from the row before.
export function summaryOf({ t_s, power_w, budget_w }) {
  let known = 0, knownS = 0, insideS = 0;
  for (let i = 0; i < t_s.length; ++i) {
    if (power_w[i] === null || budget_w[i] === null) continue;
    const seconds = t_s[i] - (i > 0 ? t_s[i - 1] : 0);
    ++known;
    knownS += seconds;
    if (power_w[i] <= 1.01 * budget_w[i]) insideS += seconds;
  }
  return { windows: t_s.length, known, inside: knownS > 0 ? insideS / knownS : NaN };
}

// The settings of each knob as a share of its greatest.
export const sharesOf = (settings) => settings.map((values) => {
  const most = Math.max(...values.filter((value) => value !== null));
  return values.map((value) => (value === null ? null : value / most));
});

export function showGovern(part) {
  const { t_s, time_ms, power_w, budget_w, reason, event, knobs, settings } = part;
  const xRange = widened(rangeOf(t_s), false);
  const x = { label: 'seconds', range: () => xRange };
  // Events as lines upwards.
  const drawEvents = (context, toX, toY, box) => {
    context.strokeStyle = colour('limit');
    context.globalAlpha = 0.5;
    context.lineWidth = devicePixelRatio || 1;
    context.beginPath();
    event.forEach((text, i) => {
      if (text === '') return;
      context.moveTo(toX(t_s[i]), box.top);
      context.lineTo(toX(t_s[i]), box.top + box.height);
    });
    context.stroke();
    context.globalAlpha = 1;
  };
  // A window ends at t_s: what held in it stands before that.
  const stepped = { paths: uPlot.paths.stepped({ align: -1 }) };
  const figure = (title, label, data, series, isLog = false) => {
    const range = rangeOf(data.slice(1).flat());
    if (range === null) return null;
    return makeFigure({ title, x, y: { label, range: () => widened(range, isLog), isLog }, data, series, draw: drawEvents }).element;
  };
  const { windows, known, inside } = summaryOf(part);
  const events = event.map((text, i) => [i, text]).filter(([, text]) => text !== '');
  const hint = make('p', { class: 'quiet hint', 'aria-live': 'polite' });
  const slider = make('input', { type: 'range', id: 'window', min: 0, max: t_s.length - 1, step: 1, value: 0, 'aria-label': 'window', input: () => told() });
  const told = () => {
    const i = Number(slider.value);
    const mode = knobs.map((role, k) => (settings[k][i] === null ? null : `${knobTitle(role)} ${settingText(role, settings[k][i])}`)).filter(Boolean).join(', ');
    const values = [time_ms[i] === null ? null : timeText(time_ms[i]), power_w[i] === null ? null : `${significant(power_w[i])} W`].filter(Boolean).join(', ');
    hint.textContent = `${significant(t_s[i], 5)} s: ${mode}: ${values || 'nothing measured'}, budget ${significant(budget_w[i])} W, ${reason[i]}${event[i] ? `, ${event[i]}` : ''}`;
  };
  told();
  return make('div', {},
    make('p', {}, `${windows} windows, ${known} with a power; ${Number.isNaN(inside) ? 'none' : percent(inside, 3)} of their time at most 1 % above the budget.`),
    make('h2', {}, 'Power'), make('p', { class: 'quiet' }, keyed('front', 'power', true), keyed('limit', 'budget; thin lines upwards are events', true)),
    figure('power and budget over time', 'power, W', [t_s, power_w, budget_w], [lineOf('front', 'power', { ...stepped }), lineOf('limit', 'budget', { ...stepped, dash: [6, 4] })]),
    make('h2', {}, 'Time of a step'), figure('time of a step over time', 'time, ms', [t_s, time_ms], [lineOf('s2', 'time', { ...stepped })], true),
    make('h2', {}, 'Settings'), make('p', { class: 'quiet' }, ...knobs.map((role, k) => keyed(`s${k % 8}`, knobTitle(role), true))),
    figure('settings over time, as shares of their greatest', 'share of the greatest', [t_s, ...sharesOf(settings)], knobs.map((_, k) => lineOf(seriesColourName(k), '', { ...stepped }))),
    make('h2', {}, 'A window'), slider, hint,
    make('h2', {}, 'Events'), events.length === 0 ? make('p', {}, 'None.')
      : makeTable(['seconds', 'event', 'power', 'budget'], events.map(([i, text]) => [significant(t_s[i], 5), text,
        power_w[i] === null ? '' : `${significant(power_w[i])} W`, `${significant(budget_w[i])} W`])));
}
