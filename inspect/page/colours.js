// Scales that stay apart for every kind of colour vision: viridis for one setting, blue and orange for the difference of
// two (Okabe and Ito's). Weak is near the page's background, in light and in dark.
const VIRIDIS = ['#440154', '#482878', '#3e4989', '#31688e', '#26828e', '#1f9e89', '#35b779', '#6ece58', '#b5de2b', '#fde725'].map(rgbOf);
const darkScheme = matchMedia('(prefers-color-scheme: dark)');

function rgbOf(hex) {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
}

function mixed(from, to, t) {
  return from.map((part, i) => Math.round(part + (to[i] - part) * t));
}

const themeColours = new Map();
darkScheme.addEventListener('change', () => themeColours.clear());

// Of a variable of the style sheet.
function themeColour(name) {
  if (!themeColours.has(name)) {
    themeColours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  }
  return themeColours.get(name);
}

// t from 0 to 1. The weak half fades into the page.
function sequential(t) {
  const at = (darkScheme.matches ? t : 1 - t) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const least = 0.3; // what is not zero can be told from the page
  return mixed(rgbOf(themeColour('--card')), mixed(VIRIDIS[low], VIRIDIS[low + 1], at - low), Math.min(1, least + 1.4 * t));
}

// t from -1, the first setting has more, to 1.
function diverging(t) {
  const most = rgbOf(themeColour(t < 0 ? '--first' : '--second'));
  const none = rgbOf(themeColour('--card'));
  const least = 0.18; // what is not zero can be told from the background
  return mixed(none, most, t === 0 ? 0 : least + (1 - least) * Math.abs(t));
}

function css(rgb) {
  return `rgb(${rgb.join(' ')})`;
}

// Black or white, whichever is easier to read on it.
function inkOn(rgb) {
  const [r, g, b] = rgb.map((part) => ((part / 255) <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? '#000000' : '#ffffff';
}

// A canvas's context, in pixels of CSS and sharp on every display.
function prepared(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// A number of 0 to 1 with three digits that say something.
function percent(share) {
  const value = 100 * share;
  const digits = Math.abs(value) >= 9.995 ? value.toFixed(1) : value.toFixed(2);
  return `${digits.replace('-', '\u2212')}\u202f%`;
}
