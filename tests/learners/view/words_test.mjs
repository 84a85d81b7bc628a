// Numbers, words and small sums of the page.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { differenceText, marginTexts, valuesText } from '../../../learners/view/js/answer.js';
import { cellsOf, figureOf, quantileOf } from '../../../learners/view/js/bench.js';
import { doubles, integers, rangeOf, readSpace, tableOfMeasured } from '../../../learners/view/js/data.js';
import { answerOf, effectiveLimits, rangesOf } from '../../../learners/view/js/explore.js';
import { modeOption, modeText, optimizeCommand, probabilityText, shellWord, significant, timeText } from '../../../learners/view/js/format.js';
import { sharesOf, summaryOf } from '../../../learners/view/js/govern.js';
import { stepOf, valueAt } from '../../../learners/view/js/limits.js';
import { linearTicks, logTicks, widened } from '../../../learners/view/js/plot.js';
import { axisRange, textAt } from '../../../learners/view/js/report.js';
import { meansOf, progressOf } from '../../../learners/view/js/run.js';
import { sliceRows, spreadLevels } from '../../../learners/view/js/slice.js';

const root = new URL('../../../learners/view/', import.meta.url);

test('numbers have the digits that people read', () => {
  const cases = [[77.2345, '77.23'], [30, '30'], [0.001234567, '0.001235'], [123456, '123500'], [1e-7, '1e-7'], [0, '0'], [Infinity, '∞'], [NaN, 'unknown']];
  for (const [value, text] of cases) assert.equal(significant(value), text);
  assert.equal(timeText(77.2), '77.2 ms');
  assert.equal(timeText(12345), '12.35 s');
  assert.deepEqual([0.92, 0.99999, 0.00001, NaN].map(probabilityText), ['92.0 %', 'more than 99.9 %', 'less than 0.1 %', 'unknown']);
});

test('modes are told in units of people, and as --mode takes them', () => {
  const knobs = ['cpu_cores', 'cpu_khz', 'gpu_khz', 'power_limit_mw', 'other'].map((role) => ({ role }));
  assert.equal(modeText(knobs, [8, 1190400, 828750, 15000, 3]), 'CPU cores 8, CPU clock 1190.4 MHz, GPU clock 828.75 MHz, power limit 15 W, other 3');
  assert.equal(modeOption(knobs, [8, 1190400, 828750, 15000, 3]), 'cpu_cores=8,cpu_khz=1190400,gpu_khz=828750,power_limit_mw=15000,other=3');
});

test('a command can be pasted whatever the file is called', () => {
  assert.equal(shellWord('out/mine.h5'), 'out/mine.h5');
  assert.equal(shellWord("it's $HOME.h5"), "'it'\\''s $HOME.h5'");
  assert.equal(optimizeCommand('a b.h5', 'energy', { powerW: 30, timeMs: undefined, confidence: 0.9 }, 400),
    "fewwatt optimize --model 'a b.h5' --max-power-w 30 --max-epoch-s 400 --objective energy --confidence 0.9");
});

test('stored numbers are read to the last bit', () => {
  const values = [Math.PI, -0.1, NaN, 1e-300];
  const base64 = Buffer.from(new Float64Array(values).buffer).toString('base64');
  assert.deepEqual([...doubles(base64)], values);
  assert.equal(doubles(null), null);
  const modes = Buffer.from(new Int32Array([1, 10, 1, 20, 2, 10]).buffer).toString('base64');
  assert.deepEqual([...integers(modes)], [1, 10, 1, 20, 2, 10]);
  const space = readSpace({ knobs: [{ role: 'cpu_cores', levels: [1, 2] }, { role: 'gpu_khz', levels: [10, 20] }], modes });
  assert.equal(space.size, 3);
  assert.deepEqual([...space.mode(2)], [2, 10]);
  assert.equal(space.setting(1, 1), 20);
  assert.deepEqual(sliceRows(space, 0, 0, 1).map((line) => [...line]), [[0, 1], [2, -1]]);
});

test('sliders and boxes agree', () => {
  const range = [10, 60];
  for (let step = 0; step <= 1000; ++step) assert.ok(Math.abs(stepOf(range, valueAt(range, step)) - step) <= 1);
  assert.equal(valueAt(range, 0), 10);
  assert.equal(valueAt(range, 1000), 60);
  assert.equal(stepOf(range, 1e9), 1000);
  assert.equal(stepOf(range, 1e-9), 0);
});

test('axes have round numbers inside their range', () => {
  assert.deepEqual(linearTicks(8.2, 51), [10, 20, 30, 40, 50]);
  assert.deepEqual(logTicks(42, 4500), [50, 100, 200, 500, 1000, 2000]);
  assert.deepEqual(logTicks(0.011, 0.05), [0.015, 0.02, 0.03, 0.04, 0.05]);
  for (const [low, high] of [[99.9, 100.1], [1e-5, 3], [5, 5.5], [1, 1e6]]) {
    for (const ticks of [logTicks(low, high), linearTicks(low, high)]) {
      assert.ok(ticks.length >= 2 && ticks.length <= 25, `${ticks}`);
      assert.ok(ticks.every((tick) => tick >= low && tick <= high * (1 + 1e-9)));
    }
  }
  for (const isLog of [false, true]) {
    const [low, high] = widened([5, 5], isLog);
    assert.ok(low < 5 && high > 5);
  }
  assert.deepEqual(rangeOf([NaN, 3, null, 1, Infinity]), [1, 3]);
  assert.equal(rangeOf([NaN]), null);
  assert.deepEqual(spreadLevels(29, 5), [0, 7, 14, 21, 28]);
  assert.deepEqual(spreadLevels(2, 5), [0, 1]);
});

test('an answer says values, margins and differences', () => {
  const table = { size: 2, logTime: Float64Array.of(Math.log(50), Math.log(52)), logPower: Float64Array.of(Math.log(28.5), Math.log(28.5)), varTime: null, varPower: null };
  assert.equal(valuesText(table, 0, 'minibatch'), '50 ms a minibatch, 28.5 W, 1.425 J');
  assert.deepEqual(marginTexts(table, 0, { powerW: 30 }), ['power 5 % below the 30 W allowed']);
  assert.equal(differenceText(table, 0, 1), '4 % more time, the same power');
  const uncertain = { ...table, varTime: Float64Array.of(0.01, 0.01), varPower: Float64Array.of(0.01, 0.01) };
  assert.match(valuesText(uncertain, 0), /^50 ms \(42\.42 ms to 58\.94 ms\), 28\.5 W \(/);
  assert.match(marginTexts(uncertain, 0, { powerW: 30 })[0], /kept with a probability of 69\.6 %/);
});

test('a deadline of an epoch is a limit of time', () => {
  assert.equal(effectiveLimits({ timeMs: 100 }, 20, 0.5).timeMs, 40);
  assert.equal(effectiveLimits({ timeMs: 10 }, 20, 0.5).timeMs, 10);
  assert.equal(effectiveLimits({ timeMs: 10 }, undefined, 0.5).timeMs, 10);
});

test('questions that have no answer say why', () => {
  const table = tableOfMeasured([10, 20], [30, 20]);
  const asked = (objective, effective, isHidden) => answerOf(table, { objective, effective }, isHidden);
  assert.match(asked('power', { powerW: 30 }).problem, /needs a limit on time/);
  assert.match(answerOf(tableOfMeasured([10], [null]), { objective: 'time', effective: { powerW: 3 } }).problem, /^There is no power here/);
  assert.equal(asked('time', { powerW: 5 }).nearest.row, 1);
  assert.deepEqual(asked('time', { powerW: 35 }).rows, [0, 1]);
  const hidden = asked('time', { powerW: 35 }, (row) => row === 0);  // steps of a search that are to come
  assert.deepEqual(hidden.rows, [1]);
  assert.deepEqual([...hidden.inside], [2, 1]);
  assert.deepEqual(rangesOf(table, null).epoch, null);
  assert.deepEqual(rangesOf(table, 0.5).epoch.map((s) => Math.round(s)), [5, 10]);
});

test('a search has a best so far within the limits', () => {
  const steps = [[0, 50, 40], [1, 80, 20], [2, null, null], [3, 60, 25], [1, 90, 22]].map(([row, time_ms, power_w]) => ({ row, time_ms, power_w }));
  assert.deepEqual(meansOf(steps, 4), [[50, 85, null, 60], [40, 21, null, 25]]);
  const { measured, bestSoFar } = progressOf(steps, 'time', { powerW: 30 });
  assert.deepEqual(measured.map((v) => v && Math.round(v)), [50, 80, null, 60, 90]);
  assert.deepEqual(bestSoFar.map((v) => v && Math.round(v)), [null, 80, 80, 60, 60]);
  assert.deepEqual(progressOf([{ row: 0, time_ms: null, power_w: null }], 'time', {}).bestSoFar, [null]);
});

test('a governed run is summed up by its seconds', () => {
  const run = { t_s: [5, 10, 20, 25], power_w: [10, 31, null, 29], budget_w: [30, 30, 30, 30] };
  const { windows, known, inside } = summaryOf(run);
  assert.deepEqual([windows, known], [4, 3]);
  assert.ok(Math.abs(inside - 10 / 15) < 1e-12);
  assert.deepEqual(sharesOf([[2, 4, null]]), [[0.5, 1, null]]);
});

test('rows of bench become medians and quartiles, over workloads means', () => {
  assert.equal(quantileOf([1, 2, 3, 4], 0.25), 1.75);
  assert.equal(quantileOf([1, Infinity], 0.5), Infinity);
  assert.equal(quantileOf([1, Infinity], 0), 1);
  const part = { value: [], shots: [], seed: [] };
  const names = ['suite', 'device', 'workload', 'learner', 'sampler', 'metric', 'unit'];
  for (const name of names) part[name] = { names: [], of: [] };
  const add = (workload, learner, sampler, shots, value) => {
    ['s', 'd', workload, learner, sampler, 'time_mape', '%'].forEach((text, i) => {
      const column = part[names[i]];
      if (!column.names.includes(text)) column.names.push(text);
      column.of.push(column.names.indexOf(text));
    });
    part.shots.push(shots);
    part.value.push(value);
  };
  for (const value of [1, 2, 3]) add('a', 'gp', 'random', 5, value);
  for (const value of [5, 6, 'inf']) add('b', 'gp', 'random', 5, value);
  add('a', 'gp', 'random', 10, 1);
  add('a', 'presets', 'none', 0, 9);
  add('b', 'presets', 'none', 0, 7);
  add('a', 'gp', 'maximin', 5, 100);
  const data = cellsOf(part, 'time_mape', 'random');
  assert.deepEqual(data.shots, [5, 10]);
  assert.deepEqual(figureOf(data, 'd/a', 'gp', 5), [1.5, 2, 2.5]);
  assert.deepEqual(figureOf(data, 'd/b', 'gp', 5), [5.5, 6, Infinity]);
  assert.equal(figureOf(data, 'all', 'gp', 5)[1], 4);
  assert.deepEqual(figureOf(data, 'all', 'gp', 10), [1, 1, 1]);  // only a has figures from measured modes there
  assert.deepEqual(figureOf(data, 'all', 'presets', 5), [8, 8, 8]);
  assert.deepEqual(figureOf(data, 'd/b', 'presets', 10), [7, 7, 7]);
  assert.equal(figureOf(data, 'd/b', 'gp', 10), null);
});

test('figures of a report cover what is in them', () => {
  const figure = { lines: [{ x: [0, 1], y: [2, null], low: [1, null], high: [4, null] }], dots: [{ x: [3], y: [8] }] };
  const inside = ([low, high], ...values) => values.every((value) => low < value && value < high);
  assert.ok(inside(axisRange({ isLog: false }, figure, 'x'), 0, 3));
  assert.ok(inside(axisRange({ isLog: true }, figure, 'y'), 1, 8));
  assert.ok(axisRange({ isLog: true }, { lines: [{ x: [0], y: [0] }], dots: [] }, 'y')[0] > 0);
  assert.deepEqual(axisRange({ range: [0, 1] }, figure, 'x'), [0, 1]);
  assert.ok(inside(axisRange({ names: ['5', '10', '20'] }, figure, 'x'), 0, 2));
  assert.equal(textAt([[0, 0, 'a'], [10, 0, 'b']], 8, 1), 'b');
  assert.equal(textAt([[0, 0, 'a']], 40, 40), '');
});

test('the modules can be put together: every one in the list, imports in one line, each name once', () => {
  const list = readFileSync(new URL('embed.cmake', root), 'utf8').match(/set\(modules ([^)]*)\)/)[1].split(' ');
  assert.deepEqual([...list].sort(), readdirSync(new URL('js/', root)).map((name) => name.replace('.js', '')).sort());
  const names = new Map();
  list.forEach((module, position) => {
    const text = readFileSync(new URL(`js/${module}.js`, root), 'utf8');
    assert.ok(!text.includes('</script'), module);
    assert.ok(!/\bfetch\(|XMLHttpRequest|https?:\/\//.test(text), `${module} would need a network`);
    assert.ok(!/innerHTML|outerHTML|insertAdjacentHTML|document\.write/.test(text), `${module} makes markup of texts`);
    for (const line of text.split('\n')) {
      if (!/^import\b/.test(line)) continue;
      const [, from] = line.match(/^import \{ .* \} from '\.\/(\w+)\.js';$/) ?? assert.fail(`${module}: ${line}`);
      assert.ok(list.indexOf(from) < position, `${module} imports ${from}, which comes after it`);
      assert.ok(!/ as /.test(line), `${module}: ${line}`);
    }
    for (const [, name] of text.matchAll(/^(?:export )?(?:function|const|let|class) (\w+)/gm)) {
      assert.ok(!names.has(name), `${name} is in ${names.get(name)} and ${module}`);
      names.set(name, module);
    }
  });
});

test('colours have contrast in the light and in the dark', () => {
  const style = readFileSync(new URL('page.css', root), 'utf8');
  const luminance = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
  const schemes = [...style.matchAll(/:root \{([^}]*)\}/g)].map(([, body]) => Object.fromEntries([...body.matchAll(/--(\w+): (#[0-9a-f]{6})/g)].map(([, k, v]) => [k, v])));
  assert.equal(schemes.length, 2);
  for (const scheme of schemes) {
    for (const back of [scheme.back, scheme.panel]) {
      for (const name of ['text', 'quiet', 'limit']) {
        assert.ok(contrast(scheme[name], back) >= 4.5, `${name} ${scheme[name]} on ${back}: ${contrast(scheme[name], back)}`);
      }
    }
    for (const name of Object.keys(scheme).filter((key) => /^s\d$|front|chosen|second|measured|preset|focus|point/.test(key))) {
      assert.ok(contrast(scheme[name], scheme.back) >= 3, `${name}: ${contrast(scheme[name], scheme.back)}`);
    }
  }
});

test('the library is the one that the lock file pins, with its licence', () => {
  const lock = JSON.parse(readFileSync(new URL('package-lock.json', root)));
  const { version, license } = lock.packages['node_modules/uplot'];
  const text = readFileSync(new URL('vendor/uplot/uPlot.iife.min.js', root), 'utf8');
  assert.ok(text.startsWith(`/*! https://github.com/leeoniya/uPlot (v${version}) */`));
  assert.equal(license, 'MIT');
  assert.match(readFileSync(new URL('vendor/uplot/LICENSE', root), 'utf8'), /^The MIT License \(MIT\)\n\nCopyright \(c\) 2022 Leon Sorokin/);
});
