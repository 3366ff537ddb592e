// What is shown: one setting or the difference of two, a layer, a head, a token; and how a user changes it.
const DIFFERENCE = report.settings.length; // in place of a setting's number
const MOST_LISTED = 16;
const BINS = report.settings[0].layers[0].heads[0].weight_by_distance.length;

const state = { setting: 0, layer: MEAN, head: MEAN, mode: 'kept', picked: N_TOKEN - 1 };
const view = new TextView();
const map = new HeadMap();
const element = (id) => document.getElementById(id);
const layers = report.settings[0].layers.map((of) => of.layer);
const mostHeads = Math.max(...report.settings[0].layers.map((of) => of.heads.length));

function isDifference() {
  return state.setting === DIFFERENCE;
}

// The settings that figures are given of.
function shownSettings() {
  return isDifference() ? [0, 1] : [state.setting];
}

// ---- what is shaded ----

// By token, the shares of one setting in the present mode.
function sharesOf(setting) {
  const shares = new Float32Array(N_TOKEN);
  const rows = rowsOf(setting, state.layer);
  const of = rowNumber(state.layer, state.head);
  if (state.mode === 'kept') {
    rows.forEach(of, state.picked, (key, weight) => { shares[key] = weight; });
  } else if (state.mode === 'keepers') {
    for (let token = state.picked; token < N_TOKEN; ++token) {
      rows.forEach(of, token, (key, weight) => { if (key === state.picked) shares[token] = weight; });
    }
  } else {
    for (let key = 0; key < N_TOKEN; ++key) shares[key] = rows.receivedShare(key);
  }
  return shares;
}

function shade() {
  const ofSettings = shownSettings().map(sharesOf);
  const shares = isDifference() ? ofSettings[1].map((share, token) => share - ofSettings[0][token]) : ofSettings[0];
  const most = shares.reduce((found, share) => Math.max(found, Math.abs(share)), 0);
  // By the square root, as most weights are small.
  const strength = (share) => Math.sqrt(Math.abs(share) / most) * Math.sign(share);
  return { ofSettings, shares, most, colourOf: (share) => (isDifference() ? diverging(strength(share)) : sequential(strength(share))) };
}

function drawScale(most) {
  const context = prepared(element('scale-colours'), 96, 12);
  for (let x = 0; x < 96; ++x) {
    const t = x / 95;
    context.fillStyle = css(isDifference() ? diverging(2 * t - 1) : sequential(t));
    context.fillRect(x, 0, 1, 12);
  }
  element('scale-low').textContent = isDifference() ? `${percent(-most)}` : '0';
  element('scale-high').textContent = `${isDifference() ? '+' : ''}${percent(most)}`;
}

// ---- panels ----

function cell(row, text, tag = 'td') {
  const made = document.createElement(tag);
  if (text instanceof Node) made.append(text);
  else made.textContent = text;
  row.append(made);
  return made;
}

function tokenButton(token) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'token';
  button.textContent = shownToken(token);
  button.title = `Token ${token}`;
  button.addEventListener('click', () => pick(token));
  return button;
}

function settingName(setting) {
  return report.settings[setting].name;
}

// Tokens by the largest of their shares, or of what these differ by.
function strongestTokens({ shares }) {
  const tokens = [];
  for (let token = 0; token < N_TOKEN; ++token) if (shares[token] !== 0) tokens.push(token);
  tokens.sort((a, b) => Math.abs(shares[b]) - Math.abs(shares[a]) || a - b);
  return tokens;
}

function showStrongest(shading) {
  const tokens = strongestTokens(shading);
  const table = element('strongest');
  const heading = document.createElement('tr');
  const isReceived = state.mode === 'received';
  for (const text of ['Token', isReceived ? 'Position' : 'Distance', ...shownSettings().map(settingName)]) cell(heading, text, 'th');
  table.tHead.replaceChildren(heading);
  table.tBodies[0].replaceChildren(...tokens.slice(0, MOST_LISTED).map((token) => {
    const row = document.createElement('tr');
    cell(row, tokenButton(token));
    cell(row, isReceived ? token : Math.abs(state.picked - token));
    for (const shares of shading.ofSettings) cell(row, shares[token] === 0 ? '\u2013' : percent(shares[token]));
    return row;
  }));
  return tokens;
}

function showPicked(shading) {
  const token = state.picked;
  element('picked').replaceChildren(Object.assign(document.createElement('code'), { textContent: shownToken(token) }),
    ` ${token} of 0\u2013${N_TOKEN - 1}, id ${TOKEN_IDS[token]}`);
  const of = rowNumber(state.layer, state.head);
  const isMean = state.layer === MEAN || state.head === MEAN;
  const figures = shownSettings().map((setting) => {
    const rows = rowsOf(setting, state.layer);
    const name = report.settings.length > 1 ? `${settingName(setting)}: ` : '';
    return `${name}keeps ${rows.keptBy(of, token).toLocaleString('en')} of ${(token + 1).toLocaleString('en')} tokens${isMean ? ' on average' : ''}, mass ${rows.massOf(of, token).toFixed(3)}`;
  });
  element('row-figures').textContent = `${figures.join('; ')}.`;
  const tokens = showStrongest(shading);
  const covered = shading.ofSettings.map((shares) => percent(shares.reduce((sum, share) => sum + share, 0)));
  const what = {
    kept: isDifference()
      ? `${tokens.length} of the strongest weights differ; these are ${covered.join(' and ')} of its attention.`
      : `Here are the ${tokens.length} strongest weights, ${covered[0]} of its attention.`,
    keepers: `${tokens.length} tokens have it among their strongest.`,
    received: `Shares of all weights, ${state.layer === MEAN ? 'of all layers' : `of the heads of layer ${state.layer}`}.`,
  };
  element('covered').textContent = what[state.mode];
  const first = tokens.length > 0 ? ` Strongest: ${shownToken(tokens[0])}, token ${tokens[0]}, ${percent(shading.shares[tokens[0]])}.` : '';
  element('status').textContent = `Token ${token}, ${shownToken(token)}. ${figures.join('; ')}.${first}`;
}

function showMostAttended() {
  const rows = shownSettings().map((setting) => rowsOf(setting, state.layer));
  const order = Array.from({ length: N_TOKEN }, (_, token) => token);
  const last = rows.at(-1);
  order.sort((a, b) => last.received[b] - last.received[a] || a - b);
  element('most-attended').replaceChildren(...order.slice(0, 10).map((token) => {
    const item = document.createElement('li');
    item.append(tokenButton(token), ` at ${token}: ${rows.map((of) => percent(of.receivedShare(token))).join(' \u2192 ')}`);
    return item;
  }));
}

// A figure of a head, of each setting that is shown; of two, the difference.
function figureOf(name, row, head) {
  const figures = shownSettings().map((setting) => report.settings[setting].layers[row].heads[head]?.[name] ?? null);
  if (figures.includes(null)) return null;
  return isDifference() ? figures[1] - figures[0] : figures[0];
}

function showMap() {
  const name = element('map-figure').value;
  const all = layers.flatMap((_, row) => Array.from({ length: mostHeads }, (_unused, head) => figureOf(name, row, head))).filter((figure) => figure !== null);
  const low = Math.min(...all);
  const high = Math.max(...all);
  const most = Math.max(Math.abs(low), Math.abs(high), 1e-9);
  const colourOf = (figure) => (isDifference() ? diverging(figure / most) : sequential(high > low ? (figure - low) / (high - low) : 1));
  map.draw({ layers, nHead: mostHeads, figureOf: (row, head) => figureOf(name, row, head), colourOf, layer: state.layer, head: state.head });
  const range = isDifference() ? `Differences from ${low.toFixed(4)} to ${high.toFixed(4)}` : `From ${low.toFixed(4)}${low < high ? ` (${darkScheme.matches ? 'dark' : 'light'}) to ${high.toFixed(4)} (${darkScheme.matches ? 'light' : 'dark'})` : ' everywhere'}`;
  const row = layers.indexOf(state.layer);
  const here = row >= 0 && state.head !== MEAN ? ` Layer ${state.layer}, head ${state.head}: ${figureOf(name, row, state.head)?.toFixed(4) ?? 'not known'}.` : '';
  element('map-status').textContent = `${range}.${here}`;
}

// Of the heads that are shown, the mean.
function meanByDistance(setting, name) {
  const heads = report.settings[setting].layers.filter((of) => state.layer === MEAN || of.layer === state.layer)
    .flatMap((of) => (state.head === MEAN ? of.heads : [of.heads[state.head]]));
  return Array.from({ length: BINS }, (_, bin) => heads.reduce((sum, head) => sum + head[name][bin], 0) / heads.length);
}

function showDistances() {
  const colours = isDifference() ? ['--first', '--second'] : ['--bar'];
  const series = shownSettings().map((setting, i) => ({ values: meanByDistance(setting, 'weight_by_distance'), colour: themeColour(colours[i]), filled: true }));
  if (!isDifference()) series.push({ values: meanByDistance(state.setting, 'kept_by_distance'), colour: themeColour('--second'), filled: false });
  drawDistances(element('distances'), series);
  element('distances').setAttribute('aria-label', `Share of the weights by distance in tokens: ${series[0].values.map((value, bin) => `${binLabel(bin)}: ${percent(value)}`).join(', ')}`);
  element('distance-legend').textContent = isDifference()
    ? `Bars: share of the weights, ${settingName(0)} (left) and ${settingName(1)}, by distance in tokens.`
    : 'Bars: share of the weights, lines: share of the keys kept, by distance in tokens.';
}

// ---- all of it ----

let shading = null;

function drawText() {
  view.draw({ shade: shading.shares, colourOf: shading.colourOf, picked: state.picked, seesUpTo: state.mode === 'kept' ? state.picked : N_TOKEN });
}

function show() {
  shading = shade();
  drawScale(shading.most);
  drawText();
  showPicked(shading);
}

function showAll() {
  element('setting').value = state.setting;
  element('layer').value = state.layer;
  fillHeads();
  element('mode').value = state.mode;
  show();
  showMap();
  showDistances();
  showMostAttended();
}

function pick(token) {
  state.picked = Math.min(Math.max(token, 0), N_TOKEN - 1);
  view.reveal(state.picked);
  show();
}

function change(changes) {
  Object.assign(state, changes);
  if (state.layer === MEAN) state.head = MEAN;
  else if (state.head >= headsOf(state.layer).length) state.head = MEAN;
  showAll();
}

// ---- controls ----

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => Object.assign(document.createElement('option'), { value, textContent: text })));
}

function fillHeads() {
  const heads = state.layer === MEAN ? [] : headsOf(state.layer);
  fill(element('head'), [[MEAN, 'mean of all'], ...heads.map((_, head) => [head, head])]);
  element('head').value = state.head;
  element('head').disabled = state.layer === MEAN;
}

// The next or previous of a list, and round.
function stepped(list, value, step) {
  return list[(list.indexOf(value) + step + list.length) % list.length];
}

function settingChoices() {
  return report.settings.length > 1 ? [0, 1, DIFFERENCE] : [0];
}

function headChoices() {
  return state.layer === MEAN ? [MEAN] : [MEAN, ...headsOf(state.layer).keys()];
}

const SHORTCUTS = {
  '[': () => change({ layer: stepped([MEAN, ...layers], state.layer, -1) }),
  ']': () => change({ layer: stepped([MEAN, ...layers], state.layer, 1) }),
  ',': () => change({ head: stepped(headChoices(), state.head, -1) }),
  '.': () => change({ head: stepped(headChoices(), state.head, 1) }),
  s: () => change({ setting: stepped(settingChoices(), state.setting, 1) }),
  m: () => change({ mode: stepped(['kept', 'keepers', 'received'], state.mode, 1) }),
};

const PICKS = {
  ArrowLeft: () => state.picked - 1,
  ArrowRight: () => state.picked + 1,
  ArrowUp: () => view.tokenBelow(state.picked, -1),
  ArrowDown: () => view.tokenBelow(state.picked, 1),
  PageUp: () => view.tokenBelow(state.picked, -view.linesInSight()),
  PageDown: () => view.tokenBelow(state.picked, view.linesInSight()),
  Home: () => 0,
  End: () => N_TOKEN - 1,
};

function moveOnMap(key) {
  const row = Math.max(layers.indexOf(state.layer), 0);
  const moves = {
    ArrowUp: () => ({ layer: layers[Math.max(row - 1, 0)] }),
    ArrowDown: () => ({ layer: layers[state.layer === MEAN ? 0 : Math.min(row + 1, layers.length - 1)] }),
    ArrowLeft: () => ({ layer: layers[row], head: Math.max(state.head - 1, MEAN) }),
    ArrowRight: () => ({ layer: layers[row], head: Math.min(state.head + 1, report.settings[0].layers[row].heads.length - 1) }),
  };
  return moves[key]?.();
}

function listen() {
  for (const name of ['setting', 'layer', 'head']) {
    element(name).addEventListener('change', (event) => change({ [name]: Number(event.target.value) }));
  }
  element('mode').addEventListener('change', (event) => change({ mode: event.target.value }));
  element('map-figure').addEventListener('change', showMap);
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    const shortcut = SHORTCUTS[event.key];
    if (shortcut === undefined) return;
    event.preventDefault();
    shortcut();
  });
  view.canvas.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || PICKS[event.key] === undefined) return;
    event.preventDefault();
    pick(PICKS[event.key]());
  });
  view.canvas.addEventListener('pointerdown', (event) => {
    const token = view.tokenAt(event.offsetX, event.offsetY);
    if (token !== null) pick(token);
  });
  view.overview.addEventListener('pointerdown', (event) => view.scrollToShare(event.offsetY / view.overview.clientHeight));
  map.canvas.addEventListener('pointerdown', (event) => {
    const found = map.at(event.offsetX, event.offsetY);
    if (found !== null) change(found);
  });
  map.canvas.addEventListener('keydown', (event) => {
    const moved = moveOnMap(event.key);
    if (moved === undefined) return;
    event.preventDefault();
    change(moved);
  });
  view.scroller.addEventListener('scroll', () => requestAnimationFrame(drawText));
  darkScheme.addEventListener('change', showAll);
  new ResizeObserver(() => {
    view.layOut();
    view.reveal(state.picked);
    showAll();
  }).observe(view.scroller);
}

function describe() {
  document.title = `Attention: ${report.prompt_file}`;
  element('about').textContent = `${report.prompt_file}, ${N_TOKEN.toLocaleString('en')} tokens, read by ${report.model} (${report.model_description})`;
  const shown = layers.length < report.n_layer ? `It has ${layers.length} of the model's ${report.n_layer} layers. ` : '';
  element('limits').textContent = `${shown}The page has the ${STRONGEST} strongest weights of each token and head, and of each mean; the keys beyond were kept as well, and count in the figures. A dash is a weight that is not among them, and counts as 0 in a difference. Weights and masses are rounded, by 0.004 at most. Every row is computed with its budget: none runs dense because that is faster, or because its mass target needs more than max_k keys. ${report.date}, ${Object.entries(report.versions).map((pair) => pair.join(' ')).join(', ')}.`;
  fill(element('setting'), settingChoices().map((setting) => [setting, setting === DIFFERENCE ? `difference: ${settingName(1)} \u2212 ${settingName(0)}` : settingName(setting)]));
  fill(element('layer'), [[MEAN, 'mean of all'], ...layers.map((layer) => [layer, layer])]);
}

describe();
view.layOut();
listen();
view.reveal(state.picked);
showAll();
view.canvas.focus({ preventScroll: true });
