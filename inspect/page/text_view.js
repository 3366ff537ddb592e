// The text on a canvas: lines of tokens, of which those in sight are drawn.
const FONT = '14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
const LINE = 24;
const MARGIN = 16;
const NEW_LINE = '\u23ce';
const LEAST_WIDTH = 5; // of a token that has nothing to draw, which can be picked still

class TextView {
  constructor() {
    this.scroller = document.getElementById('scroller');
    this.sheet = document.getElementById('sheet');
    this.canvas = document.getElementById('tokens');
    this.overview = document.getElementById('overview');
    this.widths = new Map();
  }

  // Breaks the text into lines. A part of a token on one line is a segment; a token has one or more.
  layOut() {
    const width = this.scroller.clientWidth - 2 * MARGIN;
    const context = this.canvas.getContext('2d');
    context.font = FONT;
    this.segments = []; // {token, text, x, width, line}
    this.firstOfToken = new Uint32Array(N_TOKEN + 1);
    this.firstOfLine = [0];
    let x = 0;
    const breakLine = () => {
      this.firstOfLine.push(this.segments.length);
      x = 0;
    };
    const add = (token, text) => {
      const size = Math.max(this.widthOf(context, text), LEAST_WIDTH);
      if (x > 0 && x + size > width && text !== NEW_LINE) breakLine();
      this.segments.push({ token, text, x, width: size, line: this.firstOfLine.length - 1 });
      x += size;
    };
    for (let token = 0; token < N_TOKEN; ++token) {
      this.firstOfToken[token] = this.segments.length;
      for (const part of TOKEN_TEXTS[token].match(/\n|[^\n]+/g)) {
        const text = part.replaceAll('\t', '\u2192\u00a0\u00a0\u00a0');
        if (part === '\n') {
          add(token, NEW_LINE);
          breakLine();
        } else if (this.widthOf(context, text) <= width) {
          add(token, text);
        } else {
          for (const character of text) add(token, character);
        }
      }
    }
    this.firstOfToken[N_TOKEN] = this.segments.length;
    this.nLine = this.firstOfLine.length;
    this.sheet.style.height = `${this.nLine * LINE + 2 * MARGIN}px`;
  }

  widthOf(context, text) {
    if (!this.widths.has(text)) this.widths.set(text, context.measureText(text).width);
    return this.widths.get(text);
  }

  lineOf(token) {
    return this.segments[this.firstOfToken[token]].line;
  }

  // shade: by token, 0 for none; colourOf: its colour; seesUpTo: later tokens are out of sight of the picked one.
  draw({ shade, colourOf, picked, seesUpTo }) {
    const width = this.scroller.clientWidth;
    const height = this.scroller.clientHeight;
    const context = prepared(this.canvas, width, height);
    context.font = FONT;
    context.textBaseline = 'middle';
    const ink = themeColour('--text');
    const quiet = themeColour('--faint');
    const top = this.scroller.scrollTop - MARGIN;
    const last = Math.min(this.nLine - 1, Math.floor((top + height) / LINE));
    for (let line = Math.max(0, Math.floor(top / LINE)); line <= last; ++line) {
      const end = this.firstOfLine[line + 1] ?? this.segments.length;
      const y = line * LINE - top;
      for (let i = this.firstOfLine[line]; i < end; ++i) {
        const segment = this.segments[i];
        const value = shade[segment.token];
        context.fillStyle = segment.token > seesUpTo ? quiet : ink;
        if (value !== 0) {
          const colour = colourOf(value);
          context.fillStyle = css(colour);
          context.fillRect(MARGIN + segment.x, y + 2, segment.width, LINE - 4);
          context.fillStyle = inkOn(colour);
        } else if (segment.text === NEW_LINE) {
          context.fillStyle = quiet;
        }
        context.fillText(segment.text, MARGIN + segment.x, y + LINE / 2 + 1);
      }
    }
    this.outline(context, picked, top);
    this.drawOverview(shade, colourOf, picked);
  }

  outline(context, token, top) {
    context.lineWidth = 2.5;
    context.strokeStyle = themeColour('--picked');
    for (let i = this.firstOfToken[token]; i < this.firstOfToken[token + 1]; ++i) {
      const { x, width, line } = this.segments[i];
      context.strokeRect(MARGIN + x, line * LINE - top + 1.5, width, LINE - 3);
    }
  }

  // The whole text as a strip: of each line the strongest shade, and where the picked token is.
  drawOverview(shade, colourOf, picked) {
    const width = 22;
    const height = this.scroller.clientHeight;
    const context = prepared(this.overview, width, height);
    const yOf = (line) => (line / Math.max(this.nLine, 1)) * height;
    const all = this.nLine * LINE + 2 * MARGIN;
    context.fillStyle = themeColour('--code');
    context.fillRect(0, (this.scroller.scrollTop / all) * height, width, Math.min(1, height / all) * height);
    const thick = Math.max(2, height / this.nLine);
    const strongest = new Float32Array(this.nLine);
    for (const { token, line } of this.segments) {
      if (Math.abs(shade[token]) > Math.abs(strongest[line])) strongest[line] = shade[token];
    }
    strongest.forEach((value, line) => {
      if (value === 0) return;
      context.fillStyle = css(colourOf(value));
      context.fillRect(4, yOf(line), width - 8, thick);
    });
    context.fillStyle = themeColour('--picked');
    const y = yOf(this.lineOf(picked)) + thick / 2;
    context.beginPath();
    context.moveTo(0, y - 5);
    context.lineTo(6, y);
    context.lineTo(0, y + 5);
    context.fill();
  }

  // The token at a point of the canvas, or the last one before it on that line; null beside the text.
  tokenAt(x, y) {
    const line = Math.floor((y + this.scroller.scrollTop - MARGIN) / LINE);
    if (line < 0 || line >= this.nLine) return null;
    return this.nearestOnLine(line, x - MARGIN);
  }

  nearestOnLine(line, x) {
    const end = this.firstOfLine[line + 1] ?? this.segments.length;
    let found = null;
    for (let i = this.firstOfLine[line]; i < end; ++i) {
      if (found === null || this.segments[i].x <= x) found = this.segments[i].token;
    }
    return found;
  }

  // The token `lines` below (or above) another, under it as far as possible.
  tokenBelow(token, lines) {
    const { x, width, line } = this.segments[this.firstOfToken[token]];
    const step = Math.sign(lines);
    let to = Math.min(Math.max(line + lines, 0), this.nLine - 1);
    let found = this.nearestOnLine(to, x + width / 2);
    while (found === null && to > 0 && to < this.nLine - 1) found = this.nearestOnLine((to += step), x + width / 2);
    return found ?? token;
  }

  linesInSight() {
    return Math.max(1, Math.floor(this.scroller.clientHeight / LINE) - 1);
  }

  // Scrolls so that the token is in sight.
  reveal(token) {
    const y = this.lineOf(token) * LINE + MARGIN;
    const { scrollTop, clientHeight } = this.scroller;
    if (y < scrollTop + LINE) this.scroller.scrollTop = y - 2 * LINE;
    else if (y + 2 * LINE > scrollTop + clientHeight) this.scroller.scrollTop = y + 3 * LINE - clientHeight;
  }

  scrollToShare(share) {
    this.scroller.scrollTop = share * (this.nLine * LINE + 2 * MARGIN) - this.scroller.clientHeight / 2;
  }
}
