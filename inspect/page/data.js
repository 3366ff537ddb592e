// What was captured: the figures, the tokens, and the rows of each layer as arrays over the page's base64 blocks.
const report = JSON.parse(document.getElementById('report').textContent);
const N_TOKEN = report.n_token;
const STRONGEST = report.strongest;
const MEAN = -1; // a layer or head that is the mean of all

// A share from its byte.
const SHARES = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);

// The bytes of a block, which leaves the page: it is needed once.
function takeBytes(id) {
  const element = document.getElementById(id);
  const binary = atob(element.textContent);
  element.remove();
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Characters that move others, or cannot be seen, as something that can.
function visible(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cn}\p{Co}]/gu, (character) => {
    const code = character.codePointAt(0);
    if (code === 9 || code === 10) return character; // the layout's
    if (code < 32) return String.fromCodePoint(0x2400 + code);
    return `\u27e8${code.toString(16).toUpperCase().padStart(4, '0')}\u27e9`;
  });
}

// The tokens' texts. A character of several tokens stands in the last of them; the others are an ellipsis.
function readTokens() {
  const numbers = takeBytes('token-numbers').buffer;
  const bytes = takeBytes('token-bytes');
  const ids = new Int32Array(numbers, 0, N_TOKEN);
  const lengths = new Uint32Array(numbers, 4 * N_TOKEN, N_TOKEN);
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const texts = [];
  let at = 0;
  for (let i = 0; i < N_TOKEN; ++i) {
    const piece = bytes.subarray(at, at + lengths[i]);
    at += lengths[i];
    const text = decoder.decode(piece, { stream: i + 1 < N_TOKEN });
    texts.push(visible(text) || (piece.length > 0 ? '\u2026' : '\u2205'));
  }
  return { ids, texts };
}

const { ids: TOKEN_IDS, texts: TOKEN_TEXTS } = readTokens();

// In a sentence or a list.
function shownToken(token) {
  return TOKEN_TEXTS[token].replaceAll('\n', '\u23ce').replaceAll('\t', '\u2192').replaceAll(' ', '\u00b7');
}

// The rows of a layer: of its heads, then of their mean; or of the mean of all layers, which is one.
class Rows {
  constructor(bytes, count) {
    const places = count * N_TOKEN * STRONGEST;
    const { buffer } = bytes;
    this.received = new Float32Array(buffer, 0, N_TOKEN);
    this.keys = new Uint16Array(buffer, 4 * N_TOKEN, places);
    const kept = 4 * N_TOKEN + 2 * places;
    this.kept = new Uint16Array(buffer, kept, count * N_TOKEN);
    const weights = kept + 2 * count * N_TOKEN;
    this.weights = new Uint8Array(buffer, weights, places);
    this.dropped = new Uint8Array(buffer, weights + places, count * N_TOKEN);
    this.total = this.received.reduce((sum, weight) => sum + weight, 0);
  }

  // Calls back with the key and weight of each of the strongest of a token.
  forEach(of, token, callback) {
    const begin = (of * N_TOKEN + token) * STRONGEST;
    for (let i = begin; i < begin + STRONGEST && this.weights[i] > 0; ++i) callback(this.keys[i], SHARES[this.weights[i]]);
  }

  keptBy(of, token) {
    return this.kept[of * N_TOKEN + token];
  }

  massOf(of, token) {
    return 1 - SHARES[this.dropped[of * N_TOKEN + token]];
  }

  // Of all weights, the share that a key got.
  receivedShare(key) {
    return this.total > 0 ? this.received[key] / this.total : 0;
  }
}

const rowsRead = new Map();

function rowsOf(setting, layer) {
  const id = `rows-${setting}-${layer === MEAN ? 'mean' : layer}`;
  if (!rowsRead.has(id)) {
    const found = report.settings[setting].layers.find((of) => of.layer === layer);
    rowsRead.set(id, new Rows(takeBytes(id), layer === MEAN ? 1 : found.heads.length + 1));
  }
  return rowsRead.get(id);
}

function headsOf(layer) {
  return report.settings[0].layers.find((of) => of.layer === layer).heads;
}

// Which row of a layer's is that of a head.
function rowNumber(layer, head) {
  if (layer === MEAN) return 0;
  return head === MEAN ? headsOf(layer).length : head;
}
