// What is asked for: a goal, limits that can be switched on and moved, and a confidence.
import { OBJECTIVES } from './choose.js';
import { significant } from './format.js';
import { make, makeSelect } from './dom.js';

const STEPS = 1000;

// The value at a step of a slider whose steps are even in the log, with four digits: what the box beside it shows is what is used.
export function valueAt([low, high], step) {
  return Number((low * (high / low) ** (step / STEPS)).toPrecision(4));
}
export function stepOf([low, high], value) {
  const step = Math.round((STEPS * Math.log(value / low)) / Math.log(high / low));
  return Math.min(STEPS, Math.max(0, step || 0));
}

// A limit: { element, value(), set(value) }; value() is undefined where it is off or its box holds no number above 0.
export function makeLimit({ name, title, unit, range, start, isOn, changed }) {
  const on = make('input', { type: 'checkbox', id: `${name}-on`, input: changed });
  on.checked = isOn;
  const box = make('input', { type: 'number', id: `${name}-value`, min: 0, step: 'any', 'aria-label': `${title} in ${unit}` });
  const slider = make('input', { type: 'range', id: `${name}-slider`, min: 0, max: STEPS, step: 1, 'aria-label': title });
  const show = (value) => {
    slider.value = stepOf(range, value);
    slider.setAttribute('aria-valuetext', `${significant(value)} ${unit}`);
  };
  const set = (value) => {
    box.value = Number(value.toPrecision(4));
    show(value);
    on.checked = true;
    changed();
  };
  slider.addEventListener('input', () => {
    const value = valueAt(range, Number(slider.value));
    box.value = value;
    slider.setAttribute('aria-valuetext', `${significant(value)} ${unit}`);
    on.checked = true;
    changed();
  });
  box.addEventListener('input', () => {
    if (Number(box.value) > 0) show(Number(box.value));
    on.checked = true;
    changed();
  });
  box.value = Number(start.toPrecision(4));
  show(start);
  const element = make('div', { class: 'limit' }, on, make('label', { for: `${name}-on` }, title), box, make('span', {}, unit), slider);
  return { element, set, value: () => (on.checked && Number(box.value) > 0 ? Number(box.value) : undefined) };
}

// The confidence, in the same way; always on.
function makeConfidence(changed) {
  const box = make('input', { type: 'number', id: 'confidence-value', min: 0.5, max: 0.9999, step: 'any', value: 0.9, 'aria-label': 'confidence' });
  const slider = make('input', { type: 'range', id: 'confidence-slider', min: 0.5, max: 0.995, step: 0.005, value: 0.9, 'aria-label': 'confidence' });
  const isValid = () => Number(box.value) >= 0.5 && Number(box.value) < 1;
  slider.addEventListener('input', () => {
    box.value = slider.value;
    changed();
  });
  box.addEventListener('input', () => {
    if (isValid()) slider.value = box.value;
    changed();
  });
  const element = make('div', { class: 'limit' }, make('span'), make('label', { for: 'confidence-slider' }, 'confidence'), box, make('span'), slider);
  const set = (value) => {
    box.value = slider.value = Number(Math.min(0.995, Math.max(0.5, value)).toFixed(4));
    changed();
  };
  return { element, set, value: () => (isValid() ? Number(box.value) : 0.9) };
}

// ranges: { power, time, energy, epoch } of [low, high], null for what is not known. Returns { element, read() -> { objective, limits,
// epochS }, power, confidence }.
export function makeQuestion({ ranges, isUncertain, changed }) {
  const goals = Object.keys(OBJECTIVES).filter((goal) =>
    (OBJECTIVES[goal].timeExponent === 0 || ranges.time) && (OBJECTIVES[goal].powerExponent === 0 || ranges.power));
  const titles = { time: 'time', energy: 'energy', edp: 'energy × time (edp)', ed2p: 'energy × time² (ed2p)', power: 'power' };
  const goal = makeSelect(goals.map((name) => [name, titles[name]]), { id: 'goal', input: changed });
  const limit = (name, title, unit, isOn) => {
    const range = ranges[name];
    if (!range) return null;
    const around = range[0] < range[1] ? range : [range[0] / 2, range[1] * 2];
    return makeLimit({ name, title, unit, range: around, start: Math.sqrt(around[0] * around[1]), isOn, changed });
  };
  const limits = {
    power: limit('power', 'power, at most', 'W', true),
    time: limit('time', 'time, at most', 'ms', !ranges.power),
    energy: limit('energy', 'energy, at most', 'J', false),
    epoch: limit('epoch', 'epoch, at most', 's', false),
  };
  const confidence = isUncertain ? makeConfidence(changed) : null;
  const element = make('section', { class: 'panel', 'aria-label': 'limits' },
    make('div', { class: 'row' }, make('label', { for: 'goal' }, 'least'), goal),
    ...Object.values(limits).map((one) => one?.element), confidence?.element,
    isUncertain ? null : make('p', { class: 'quiet' }, 'No uncertainty is known here: limits are compared with the values themselves.'));
  return {
    element,
    power: limits.power,
    confidence,
    read: () => ({
      objective: goal.value,
      epochS: limits.epoch?.value(),
      limits: {
        powerW: limits.power?.value(),
        timeMs: limits.time?.value(),
        energyJ: limits.energy?.value(),
        confidence: confidence?.value() ?? 0.5,
      },
    }),
  };
}
