// Elements. Text from outside is only ever a text node, so it cannot be markup.

// make('p', { class: 'quiet' }, 'text', otherElement): attributes, except for functions, which are listeners: { input: () => ... }.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A select of [value, text] pairs.
export function makeSelect(choices, attributes = {}) {
  return make('select', attributes, ...choices.map(([value, text]) => make('option', { value }, text)));
}

// A label around a control.
export const labelled = (text, control) => make('label', {}, `${text} `, control);

// A table: header cells, and rows of cells; cells that begin with a digit or sign stand to the right.
export function makeTable(header, rows) {
  const isNumber = (text) => /^[-+\d∞]/.test(text);
  const cell = (name, text) => make(name, { class: isNumber(text) ? 'number' : null }, text);
  const head = header.map((text, c) => make('th', { scope: 'col', class: rows[0] && isNumber(rows[0][c]) ? 'number' : null }, text));
  return make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, make('tr', {}, ...head)),
    make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((text) => cell('td', text)))))));
}

// A word with the mark that a figure has for it.
export const keyed = (colour, text, isLine = false) =>
  make('span', {}, make('span', { class: isLine ? 'key line' : 'key', style: `background: var(--${colour})` }), text);
