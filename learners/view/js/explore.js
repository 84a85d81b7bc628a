// A model or a profile: all modes, a question, its answer.
import { OBJECTIVES, best, fits, isUncertain, leastViolation, logExcesses, quantile } from './choose.js';
import { rangeOf, readTable } from './data.js';
import { keyed, make, makeTable } from './dom.js';
import { modeText, significant, timeText } from './format.js';
import { makeCloud } from './cloud.js';
import { makeQuestion } from './limits.js';
import { makeSlice } from './slice.js';
import { showAnswer } from './answer.js';

const exponentials = (logs) => logs && logs.map(Math.exp);

// The least and largest value of each limit; null for what is not known.
export function rangesOf(table, epochSPerMs) {
  const time = rangeOf(exponentials(table.logTime)), power = rangeOf(exponentials(table.logPower));
  const energies = table.logTime && table.logPower ? table.logTime.map((log, i) => Math.exp(log + table.logPower[i]) / 1000) : null;
  return { time, power, energy: rangeOf(energies), epoch: time && epochSPerMs ? time.map((ms) => ms * epochSPerMs) : null };
}

// The limits with an epoch's as one of time.
export function effectiveLimits(limits, epochS, epochSPerMs) {
  if (!Number.isFinite(epochS)) return limits;
  return { ...limits, timeMs: Math.min(limits.timeMs ?? Infinity, epochS / epochSPerMs) };
}

// { rows, nearest, inside, problem } for a question. isHidden(row): modes that are left out.
export function answerOf(table, question, isHidden = null) {
  const inside = new Uint8Array(table.size);
  const hide = () => isHidden && inside.forEach((_, row) => isHidden(row) && (inside[row] = 2));
  const { objective, effective } = question;
  try {
    if (objective === 'power' && !Number.isFinite(effective.timeMs)) {
      hide();
      return { rows: [], nearest: null, inside, problem: 'The least power needs a limit on time.' };
    }
    const excess = logExcesses(table, effective);
    for (let row = 0; row < table.size; ++row) {
      if (isHidden?.(row)) excess[row] = NaN;
      inside[row] = fits(excess[row]) ? 1 : 0;
    }
    const rows = best(table, OBJECTIVES[objective], effective, 2, excess);
    const nearest = rows.length > 0 ? null : leastViolation(excess);
    hide();
    return { rows, nearest: nearest && Number.isFinite(nearest.excess) && nearest.excess > 0 ? nearest : null, inside, problem: '' };
  } catch (error) {
    hide();
    return { rows: [], nearest: null, inside, problem: `${error.message[0].toUpperCase()}${error.message.slice(1)}.` };
  }
}

// part: of a model or a profile, or { measured: null, ... } of a search. more: { table, isHidden(), marks(), controls: [element], updated(question, found) }.
export function makeExplore(part, space, more = {}) {
  const table = more.table ?? readTable(part);
  const measured = part.measured ? new Map(part.measured.map((one) => [one.row, one.left_out ?? []])) : null;
  const presets = part.presets ?? [];
  const answer = make('output', { id: 'answer', class: 'answer panel', 'aria-live': 'polite', 'aria-label': 'answer' });
  const presetPlace = make('div'), hint = make('p', { class: 'quiet hint' });
  const shows = { front: [true, 'front'], intervals: [false, 'uncertainty of all modes'], measured: [true, 'measured'], presets: [true, 'presets'] };
  const boxes = {};
  let found = { rows: [], nearest: null, inside: new Uint8Array(table.size), problem: '' };
  let question = null, isWaiting = false, hovered = -1, cloud = null;

  const changed = () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(update);
  };
  const asking = makeQuestion({ ranges: rangesOf(table, part.epoch_s_per_ms), isUncertain: isUncertain(table), changed });

  function marks() {
    const list = [];
    if (boxes.measured?.checked) {
      for (const { row, power_w, time_ms } of part.measured ?? []) {
        list.push({ row, shape: 'circle', colour: 'measured', size: 4, powerW: power_w ?? undefined, timeMs: time_ms ?? undefined });
      }
    }
    if (boxes.presets?.checked) for (const { row } of presets) list.push({ row, shape: 'square', colour: 'preset', size: 5 });
    list.push(...(more.marks?.() ?? []));
    if (hovered >= 0) list.push({ row: hovered, shape: 'circle', colour: 'text', size: 6, hasInterval: true });
    if (found.rows.length > 1) list.push({ row: found.rows[1], shape: 'triangle', colour: 'second', size: 7, isFilled: true, hasInterval: true });
    const first = found.rows[0] ?? found.nearest?.row;
    if (first !== undefined) list.push({ row: first, shape: 'diamond', colour: 'chosen', size: 8, isFilled: found.rows.length > 0, hasInterval: true });
    return list;
  }

  function showPresets() {
    if (presets.length === 0) return;
    const row = (name, at) => {
      const [time, power, energy] = ['time', 'power', 'energy'].map((cost) => quantile(table, at, cost, 0.5));
      return [name, modeText(space.knobs, space.mode(at)), timeText(time), `${significant(power)} W`, `${significant(energy)} J`, found.inside[at] === 1 ? 'yes' : 'no'];
    };
    const rows = presets.map((preset) => row(preset.name, preset.row));
    if (found.rows.length > 0) rows.unshift(row('chosen here', found.rows[0]));
    presetPlace.replaceChildren(makeTable(['preset', 'mode', 'time', 'power', 'energy', 'keeps the limits'], rows));
  }

  function update() {
    isWaiting = false;
    question = asking.read();
    question.effective = effectiveLimits(question.limits, question.epochS, part.epoch_s_per_ms);
    found = answerOf(table, question, more.isHidden);
    showAnswer(answer, { space, table, timeOf: part.time_of, measured, file: part.commandFile, question, found });
    cloud?.redraw();
    const anchor = found.rows[0] ?? found.nearest?.row;
    if (anchor !== undefined) slice?.show(anchor);
    showPresets();
    more.updated?.(question, found);
  }

  const hasCloud = table.logTime !== null && table.logPower !== null;
  const wanted = [more.isHidden ? null : 'front', isUncertain(table) ? 'intervals' : null, part.measured ? 'measured' : null,
    presets.length > 0 ? 'presets' : null].filter((name) => hasCloud && name !== null);
  for (const name of wanted) {
    boxes[name] = make('input', { type: 'checkbox', id: `show-${name}`, input: () => cloud.redraw() });
    boxes[name].checked = shows[name][0];
  }
  if (hasCloud) {
    cloud = makeCloud(table, () => ({
      inside: found.inside,
      isFront: boxes.front?.checked ?? false,
      hasIntervals: boxes.intervals?.checked ?? false,
      powerW: question?.effective.powerW,
      timeMs: question?.effective.timeMs,
      marks: marks(),
    }), 'time against power of all modes; drag, or press the arrow keys, to move the limit of power');
    addMoves(cloud, asking, (row) => {
      hovered = row;
      hint.textContent = row < 0 ? '' : `${modeText(space.knobs, space.mode(row))}: ${cloud.text(row)}`;
      cloud.redraw();
    });
  }
  const slice = more.isHidden ? null : makeSlice(space, table);
  const key = make('p', { class: 'quiet' }, keyed('point', 'keeps the limits'), keyed('out', 'does not'), more.isHidden ? null : keyed('front', 'front', true),
    keyed('chosen', 'best'), keyed('second', 'runner-up'), part.measured ? keyed('measured', 'measured') : null, presets.length > 0 ? keyed('preset', 'preset') : null);
  const element = make('div', {},
    make('div', { class: 'explore' }, make('div', {}, asking.element, answer),
      make('div', {}, cloud ? cloud.element : make('p', {}, `Only ${table.logTime ? 'time' : 'power'} is known here, so there is no figure of both.`),
        hint, make('div', { class: 'row' }, ...wanted.map((name) => make('label', {}, boxes[name], ` ${shows[name][1]}`))), cloud ? key : null, ...(more.controls ?? []))),
    presets.length > 0 ? make('section', {}, make('h2', {}, "The vendor's presets"), presetPlace) : null, slice?.element);
  update();
  return { element, changed, update };
}

// Drags and keys on the figure move the limit of power; the confidence follows the keys up and down; a pointer shows the mode under it.
function addMoves(cloud, asking, hover) {
  const over = cloud.plot.over;
  let isDragging = false;
  const left = (event) => event.clientX - over.getBoundingClientRect().left;
  cloud.element.classList.add('drags');
  cloud.element.tabIndex = 0;
  over.addEventListener('pointerdown', (event) => {
    if (!asking.power || event.button !== 0) return;
    isDragging = true;
    over.setPointerCapture(event.pointerId);
    asking.power.set(cloud.powerAt(left(event)));
  });
  over.addEventListener('pointermove', (event) => {
    if (isDragging) asking.power.set(cloud.powerAt(left(event)));
    else hover(cloud.rowAt(left(event), event.clientY - over.getBoundingClientRect().top));
  });
  for (const name of ['pointerup', 'pointercancel']) over.addEventListener(name, () => (isDragging = false));
  over.addEventListener('pointerleave', () => hover(-1));
  cloud.element.addEventListener('keydown', (event) => {
    const step = event.shiftKey ? 0.1 : 0.01;
    const power = asking.power?.value();
    const moves = {
      ArrowLeft: () => power && asking.power.set(power * (1 - step)),
      ArrowRight: () => power && asking.power.set(power * (1 + step)),
      ArrowUp: () => asking.confidence?.set(asking.confidence.value() + 0.005),
      ArrowDown: () => asking.confidence?.set(asking.confidence.value() - 0.005),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  });
}
