// Numbers, modes and commands for people.

// With that many digits, without an exponent where people would not write one.
export function significant(value, digits = 4) {
  if (value === Infinity) return '∞';
  if (!Number.isFinite(value)) return 'unknown';
  const text = value.toPrecision(digits);
  if (text.includes('e')) {
    const power = Math.floor(Math.log10(Math.abs(value)));
    return power >= 0 && power < 15 ? String(Math.round(Number(text))) : String(Number(text));
  }
  return text.includes('.') ? String(Number(text)) : text;
}

// "77.2 ms", "1.25 s"
export function timeText(ms) {
  return ms >= 10000 && ms < Infinity ? `${significant(ms / 1000)} s` : `${significant(ms)} ms`;
}

export const percent = (share, digits = 2) => `${significant(100 * share, digits)} %`;

// A probability in percent that is 100 or 0 only where it is no other number.
export function probabilityText(probability) {
  if (Number.isNaN(probability)) return 'unknown';
  if (probability > 0.9995) return 'more than 99.9 %';
  if (probability < 0.0005) return 'less than 0.1 %';
  return `${(100 * probability).toFixed(1)} %`;
}

const KNOBS = {
  cpu_cores: ['CPU cores', (v) => String(v)],
  cpu_khz: ['CPU clock', (v) => clock(v)],
  gpu_khz: ['GPU clock', (v) => clock(v)],
  mem_khz: ['memory clock', (v) => clock(v)],
  power_limit_mw: ['power limit', (v) => `${significant(v / 1000)} W`],
  batch_size: ['batch', (v) => String(v)],
};

const clock = (khz) => `${khz / 1000} MHz`;

export const knobTitle = (role) => KNOBS[role]?.[0] ?? role;
export const settingText = (role, value) => (KNOBS[role]?.[1] ?? String)(value);

// "CPU cores 8, CPU clock 1190.4 MHz, GPU clock 828.75 MHz"
export function modeText(knobs, mode) {
  return knobs.map((knob, k) => `${knobTitle(knob.role)} ${settingText(knob.role, mode[k])}`).join(', ');
}

// "cpu_cores=8,cpu_khz=1190400", as --mode takes it.
export function modeOption(knobs, mode) {
  return knobs.map((knob, k) => `${knob.role}=${mode[k]}`).join(',');
}

// A word of a shell's command line.
export function shellWord(text) {
  return /^[A-Za-z0-9_./:=,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

// The command that gives the same answer.
export function optimizeCommand(file, objective, limits, epochS) {
  const words = ['fewwatt', 'optimize', '--model', shellWord(file)];
  const add = (option, value) => Number.isFinite(value) && words.push(option, String(value));
  add('--max-power-w', limits.powerW);
  add('--max-time-ms', limits.timeMs);
  add('--max-energy-j', limits.energyJ);
  add('--max-epoch-s', epochS);
  if (objective !== 'time') words.push('--objective', objective);
  add('--confidence', limits.confidence);
  return words.join(' ');
}
