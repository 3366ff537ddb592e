// A small line plot of one figure over the last samples, with its latest value in words.
const SVG = 'http://www.w3.org/2000/svg';
const SAMPLES = 80; // 20 seconds at four a second
const WIDTH = 200;
const HEIGHT = 60;

// The smallest of 1, 2 or 5 times a power of ten that holds the value.
function niceMaximum(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return power * [1, 2, 5, 10].find((step) => value <= step * power);
}

class Plot {
  // `maximum` is the top of the scale; without it the scale grows with the values.
  constructor(section, title, format, maximum) {
    this.title = title;
    this.format = format;
    this.maximum = maximum;
    this.samples = [];
    const heading = document.createElement('h2');
    heading.textContent = title;
    this.value = document.createElement('output');
    const plot = document.createElement('div');
    plot.className = 'plot';
    this.svg = document.createElementNS(SVG, 'svg');
    this.svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute('preserveAspectRatio', 'none');
    this.svg.setAttribute('role', 'img');
    this.line = document.createElementNS(SVG, 'polyline');
    this.svg.append(this.line);
    const scale = document.createElement('div');
    scale.className = 'scale';
    scale.setAttribute('aria-hidden', 'true');
    this.top = document.createElement('span');
    const bottom = document.createElement('span');
    bottom.textContent = '0';
    scale.append(this.top, bottom);
    plot.append(this.svg, scale);
    section.append(heading, this.value, plot);
    this.draw();
  }

  // A figure that is not known at this moment, null, leaves the plot as it is.
  add(value) {
    if (value === null || !Number.isFinite(value)) return;
    this.samples.push(value);
    if (this.samples.length > SAMPLES) this.samples.shift();
    this.draw();
  }

  draw() {
    const last = this.samples.at(-1);
    const top = this.maximum ?? niceMaximum(Math.max(0, ...this.samples));
    const y = (value) => HEIGHT - 2 - (Math.min(value, top) / top) * (HEIGHT - 4);
    const first = SAMPLES - this.samples.length; // the newest is at the right edge
    const points = this.samples.map((value, i) => `${((first + i) / (SAMPLES - 1)) * WIDTH},${y(value).toFixed(1)}`);
    this.line.setAttribute('points', points.join(' '));
    this.top.textContent = this.format(top);
    this.value.textContent = last === undefined ? '\u2013' : this.format(last);
    this.svg.setAttribute('aria-label', `${this.title}: ${last === undefined ? 'nothing yet' : this.format(last)}`);
  }
}
