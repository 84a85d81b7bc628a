// What a page that is watched while a program works makes of the events that arrive.
import assert from 'node:assert/strict';
import test from 'node:test';
import { GROWING, eventsAddress, watch } from '../../../learners/view/js/live.js';
import { numbersOf, stateText } from '../../../learners/view/js/training.js';

test('events are asked for where the page came from, with its token', () => {
  assert.equal(eventsAddress('5f', ''), 'events?run=5f');
  assert.equal(eventsAddress('5f', '?token=ab&more=1'), 'events?run=5f&token=ab');
  assert.equal(eventsAddress('a&b', '?token=%26'), 'events?run=a%26b&token=%26');
});

test('a run grows by steps, and its space by the modes that are new', () => {
  const run = GROWING.run({ time_of: 'minibatch', knobs: [{ role: 'cpu_cores', levels: [1, 2] }, { role: 'gpu_khz', levels: [3] }] });
  const ok = { status: 'ok', detail: '', took_s: 1 };
  run.add({ ...ok, mode: [1, 3], time_ms: 5, power_w: 7 });
  run.add({ ...ok, mode: [2, 3], time_ms: 4, power_w: null });
  run.add({ ...ok, status: 'unsteady', mode: [1, 3], time_ms: null, power_w: null });
  const [part, space] = run.shown();
  assert.deepEqual(part.steps.map((step) => step.row), [0, 1, 0]);
  assert.deepEqual(part.steps.map((step) => step.time_ms), [5, 4, null]);
  assert.equal(space.size, 2);
  assert.equal(space.setting(1, 0), 2);
  assert.deepEqual([...space.mode(0)], [1, 3]);
  assert.equal(part.steps[0].mode, undefined);
});

test('a governed run grows by windows, column by column', () => {
  const run = GROWING.govern({ knobs: ['cpu_cores', 'gpu_khz'] });
  for (const t_s of [5, 10]) run.add({ t_s, mode: [4, 100 * t_s], time_ms: 80, power_w: null, budget_w: 30, reason: 'first', event: '' });
  const [part] = run.shown();
  assert.deepEqual(part.t_s, [5, 10]);
  assert.deepEqual(part.settings, [[4, 4], [500, 1000]]);
  assert.deepEqual(part.power_w, [null, null]);
});

test('training tells what it has, and draws no number that it has not', () => {
  const rows = [{ phase: 'training', step: 1, loss: 2.5, done: 0.25, seconds: 1.5 }, { phase: 'training', step: 2, loss: 'inf', done: 0.5, seconds: 3, regret: 4 }];
  assert.deepEqual(numbersOf(rows, 'loss'), [2.5, null]);
  assert.deepEqual(numbersOf(rows, 'regret'), [null, 4]);
  assert.equal(stateText(rows.slice(0, 1)), 'training: 25 %, 1.5 s; loss 2.5');
  assert.equal(stateText(rows), 'training: 50 %, 3 s');
});

test('rows that never arrived are counted, at the beginning and after a lost connection', () => {
  const made = [];
  globalThis.document = { createElement: () => {
    const element = { setAttribute() {}, addEventListener() {}, append(text) { this.textContent = text; } };
    made.push(element);
    return element;
  } };
  class Source {
    static CLOSED = 2;
    addEventListener() {}
  }
  let source = null;
  const Kept = class extends Source { constructor() { super(); source = this; } };
  let changes = 0;
  watch({ run: 'r', kind: 'training', part: {}, changed: () => ++changes, search: '', Source: Kept });
  const status = made[0], row = JSON.stringify({ loss: 1 });
  source.onmessage({ data: row, lastEventId: '1' });
  source.onmessage({ data: row, lastEventId: '2' });
  assert.equal(status.textContent.includes('not here'), false);
  source.onerror();
  assert.equal(status.textContent, 'The connection is lost, or the program has ended. Trying again.');
  source.onmessage({ data: row, lastEventId: '13' });
  assert.match(status.textContent, / 10 rows are not here/);
});
