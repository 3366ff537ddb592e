// The map of layers and heads, and the histogram of distances.
const SMALL_FONT = '11px system-ui, sans-serif';

// Lower ends of the bins: 0, 1, 2, 4, ...
function binLabel(bin) {
  const low = bin === 0 ? 0 : 2 ** (bin - 1);
  return low >= 1024 ? `${low / 1024}K` : `${low}`;
}

class HeadMap {
  constructor() {
    this.canvas = document.getElementById('map');
  }

  // figureOf(layer index, head): a number or null; colourOf(figure): its colour.
  draw({ layers, nHead, figureOf, colourOf, layer, head }) {
    const width = this.canvas.parentElement.clientWidth;
    this.left = 26;
    this.top = 16;
    this.nHead = nHead;
    this.layers = layers;
    this.cellWidth = Math.min(22, (width - this.left) / nHead);
    this.cellHeight = 13;
    const context = prepared(this.canvas, width, this.top + layers.length * this.cellHeight + 4);
    context.font = SMALL_FONT;
    context.textBaseline = 'middle';
    context.fillStyle = themeColour('--quiet');
    const every = Math.ceil(18 / this.cellWidth);
    context.textAlign = 'center';
    for (let i = 0; i < nHead; i += every) context.fillText(i, this.left + (i + 0.5) * this.cellWidth, this.top / 2);
    context.textAlign = 'right';
    layers.forEach((number, row) => context.fillText(number, this.left - 5, this.top + (row + 0.5) * this.cellHeight));
    layers.forEach((_, row) => {
      for (let i = 0; i < nHead; ++i) {
        const figure = figureOf(row, i);
        if (figure === null) continue;
        context.fillStyle = css(colourOf(figure));
        context.fillRect(this.left + i * this.cellWidth, this.top + row * this.cellHeight, this.cellWidth - 1, this.cellHeight - 1);
      }
    });
    this.outline(context, layers.indexOf(layer), head);
  }

  outline(context, row, head) {
    if (row < 0 && head === MEAN) return;
    const x = head === MEAN ? this.left : this.left + head * this.cellWidth;
    const width = head === MEAN ? this.nHead * this.cellWidth : this.cellWidth;
    context.lineWidth = 2.5;
    context.strokeStyle = themeColour('--picked');
    context.strokeRect(x - 1, this.top + row * this.cellHeight - 1, width + 1, this.cellHeight + 1);
  }

  // {layer, head} at a point; the head is the mean beside the cells.
  at(x, y) {
    const layer = this.layers[Math.floor((y - this.top) / this.cellHeight)];
    if (layer === undefined) return null;
    const head = Math.floor((x - this.left) / this.cellWidth);
    return { layer, head: head >= 0 && head < this.nHead ? head : MEAN };
  }
}

// series: [{values, colour, filled}], by bin.
function drawDistances(canvas, series) {
  const width = canvas.parentElement.clientWidth;
  const height = 120;
  const bottom = height - 16;
  const left = 34;
  const context = prepared(canvas, width, height);
  const nBin = Math.min(series[0].values.length, 32 - Math.clz32(Math.max(N_TOKEN - 1, 0)) + 1);
  const most = Math.max(...series.flatMap(({ values }) => values), 1e-9);
  const step = (width - left) / nBin;
  context.font = SMALL_FONT;
  context.fillStyle = themeColour('--quiet');
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  context.fillText(`${Math.round(100 * most)}\u202f%`, left - 4, 8);
  context.fillText('0', left - 4, bottom - 3);
  context.textAlign = 'center';
  const every = Math.ceil(26 / step);
  for (let bin = 0; bin < nBin; bin += every) context.fillText(binLabel(bin), left + (bin + 0.5) * step, height - 7);
  const bars = series.filter(({ filled }) => filled);
  const barWidth = (step - 3) / bars.length;
  const heightOf = (value) => (value / most) * (bottom - 6);
  bars.forEach(({ values, colour }, i) => {
    context.fillStyle = colour;
    for (let bin = 0; bin < nBin; ++bin) {
      context.fillRect(left + bin * step + 1.5 + i * barWidth, bottom - heightOf(values[bin]), barWidth, heightOf(values[bin]));
    }
  });
  for (const { values, colour, filled } of series) {
    if (filled) continue;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    for (let bin = 0; bin < nBin; ++bin) {
      const y = bottom - heightOf(values[bin]);
      context.beginPath();
      context.moveTo(left + bin * step + 0.5, y);
      context.lineTo(left + (bin + 1) * step - 0.5, y);
      context.stroke();
    }
  }
  context.fillStyle = themeColour('--line');
  context.fillRect(left, bottom, width - left, 1);
}
