// The conversation: what was said, the stream of an answer, and the figures beside it.
const byId = (id) => document.getElementById(id);
const messages = byId('messages');
const promptBox = byId('prompt');
const status = byId('status');

const SAMPLE_MS = 250;
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const count = (number) => number.toLocaleString('en');
const plots = {
  speed: new Plot(byId('speed'), 'Tokens per second', (value) => value.toFixed(value < 10 ? 1 : 0)),
  kept: new Plot(byId('kept'), 'Keys kept', percent, 1),
  mass: new Plot(byId('mass'), 'Mass of the kept keys', percent, 1),
};

let history = []; // {role, content}
let contextLength = 0;
let contextTokens = 0; // as shown
let running = null; // the AbortController of the answer in the making
let nextLook = 0; // the timer of describeServer

// ---- settings: kept for as long as the tab is open ----

const SETTINGS = { system: '', temperature: '0.7', 'max-tokens': '1024', 'api-key': '' };

function setting(name) {
  return sessionStorage.getItem(name) ?? SETTINGS[name];
}

byId('open-settings').addEventListener('click', () => {
  for (const name of Object.keys(SETTINGS)) byId(name).value = setting(name);
  byId('settings').showModal();
});
byId('settings').addEventListener('close', () => {
  for (const name of Object.keys(SETTINGS)) {
    if (byId(name).checkValidity()) sessionStorage.setItem(name, byId(name).value);
  }
  promptBox.focus();
  describeServer();
});

// ---- the server ----

// It has ended, was started anew, or the way to it is interrupted.
class Unreachable extends Error {}

async function ask(path, options = {}) {
  const headers = { 'Content-Type': 'application/json' };
  if (setting('api-key')) headers.Authorization = `Bearer ${setting('api-key')}`;
  const response = await fetch(path, { ...options, headers }).catch(() => {
    throw new Unreachable('the server does not answer');
  });
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const message = body?.error?.message ?? `the server answered ${response.status}`;
  throw new Error(response.status === 401 ? `${message}: enter the server's API key under Settings` : message);
}

// Looks again until the server is ready.
async function describeServer() {
  clearTimeout(nextLook);
  try {
    const props = await (await ask('props')).json();
    contextLength = props.default_generation_settings.n_ctx;
    byId('model').textContent = props.model_alias;
    if (!running) status.textContent = '';
    const report = await (await ask('topk/stats')).json();
    const settings = report.settings ? `Top-k attention: ${report.settings.split(',').join(', ')}` : 'Full attention';
    byId('attention').textContent = settings;
    byId('kept').hidden = byId('mass').hidden = report.attention !== 'top_k';
    showContext(contextTokens);
  } catch (error) {
    if (!running) status.textContent = `Not ready: ${error.message}`;
    if (error instanceof Unreachable || /[Ll]oading/.test(error.message)) nextLook = setTimeout(describeServer, 1000);
  }
}

// ---- figures ----

function showContext(tokens) {
  contextTokens = tokens;
  const share = contextLength > 0 ? tokens / contextLength : 0;
  const meter = byId('context');
  meter.setAttribute('aria-valuemax', contextLength);
  meter.setAttribute('aria-valuenow', tokens);
  meter.setAttribute('aria-valuetext', `${count(tokens)} of ${count(contextLength)} tokens`);
  meter.classList.toggle('full', share > 0.9);
  meter.firstElementChild.style.width = percent(Math.min(share, 1)).replace(' ', '');
  byId('context-value').textContent = `${count(tokens)} of ${count(contextLength)}`;
}

// Samples what the server did between two looks at it: tokens of this answer, keys and mass of all requests.
class Sampler {
  constructor() {
    this.timings = null; // of the latest piece of the stream
    this.drawn = null; // of the latest sample
    this.totals = null;
    this.timer = setInterval(() => this.sample(), SAMPLE_MS);
    this.sample();
  }

  // Of a piece of the stream. Speed counts from the first one on: the server books next to no time for its token.
  take(timings) {
    this.drawn ??= timings;
    this.timings = timings;
  }

  async sample() {
    if (this.timings !== this.drawn) {
      const tokens = this.timings.predicted_n - this.drawn.predicted_n;
      const ms = this.timings.predicted_ms - this.drawn.predicted_ms;
      if (tokens > 0 && ms > 0) plots.speed.add((1000 * tokens) / ms);
      this.drawn = this.timings;
    }
    if (byId('kept').hidden || this.asking) return;
    this.asking = true;
    try {
      const { total } = await (await ask('topk/stats')).json();
      const massSum = total.mass_rows > 0 ? total.mean_mass * total.mass_rows : 0;
      const next = { seen: total.keys_seen, kept: total.keys_kept, rows: total.mass_rows, massSum };
      // Smaller than before: somebody has reset the sums.
      if (this.totals && next.seen > this.totals.seen && next.rows >= this.totals.rows) {
        const rows = next.rows - this.totals.rows;
        plots.kept.add((next.kept - this.totals.kept) / (next.seen - this.totals.seen));
        plots.mass.add(rows > 0 ? (next.massSum - this.totals.massSum) / rows : null);
      }
      this.totals = next;
    } catch {
      // The figures are a side-line; the answer tells what is wrong with the server.
    } finally {
      this.asking = false;
    }
  }

  async stop() {
    clearInterval(this.timer);
    await this.sample();
  }
}

// ---- messages ----

function addMessage(role, title) {
  byId('welcome')?.remove();
  const article = document.createElement('article');
  article.className = `message ${role}`;
  const heading = document.createElement('h3');
  heading.textContent = title;
  const body = document.createElement('div');
  body.className = 'body';
  article.append(heading, body);
  messages.append(article);
  article.scrollIntoView({ block: 'end' });
  return article;
}

function showError(message) {
  const article = addMessage('error', 'That did not work');
  article.setAttribute('role', 'alert');
  article.querySelector('.body').textContent = message;
  article.scrollIntoView({ block: 'end' });
}

// An answer on the screen, drawn anew at most once a frame, which the view follows unless the reader has scrolled away.
class AnswerView {
  constructor() {
    this.article = addMessage('assistant', 'Answer');
    this.article.setAttribute('aria-busy', 'true');
    this.body = this.article.querySelector('.body');
    this.text = '';
    this.thoughts = '';
    this.due = false;
  }

  add(delta) {
    this.text += delta.content ?? '';
    this.thoughts += delta.reasoning_content ?? '';
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.due = false;
    const follows = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
    if (this.thoughts) this.drawThoughts();
    showAnswer(this.body, this.text);
    if (follows) messages.scrollTop = messages.scrollHeight;
  }

  drawThoughts() {
    if (!this.details) {
      this.details = document.createElement('details');
      const summary = document.createElement('summary');
      summary.textContent = 'Thoughts';
      this.details.append(summary, document.createElement('div'));
      this.details.lastChild.className = 'body';
      this.body.before(this.details);
    }
    this.details.lastChild.textContent = this.thoughts;
  }

  finish() {
    this.draw();
    this.article.removeAttribute('aria-busy');
    if (!this.text && !this.thoughts) this.article.remove();
  }
}

// The pieces of a stream of server-sent events, parsed.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read().catch(() => {
      throw new Unreachable('the connection to the server broke off');
    });
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data: ') && line !== 'data: [DONE]') yield JSON.parse(line.slice(6));
    }
  }
}

function showProgress({ total, cache, processed, time_ms: ms }) {
  const read = processed - cache;
  const rate = ms > 0 && read > 0 ? `, ${Math.round((1000 * read) / ms)} tokens/s` : '';
  status.textContent = `Reading: ${count(processed)} of ${count(total)} tokens${rate}`;
  showContext(processed);
}

// Streams an answer to the history into `view`; returns why it ended.
async function stream(view, sampler, signal) {
  const system = setting('system');
  const body = {
    messages: system ? [{ role: 'system', content: system }, ...history] : history,
    temperature: Number(setting('temperature')),
    max_tokens: Number(setting('max-tokens')),
    stream: true,
    timings_per_token: true,
    return_progress: true,
  };
  const response = await ask('v1/chat/completions', { method: 'POST', body: JSON.stringify(body), signal });
  let finish = '';
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    if (event.prompt_progress) showProgress(event.prompt_progress);
    const choice = event.choices?.[0];
    if (choice?.delta) view.add(choice.delta);
    finish = choice?.finish_reason ?? finish;
    if (event.timings && event.timings.predicted_n > 0) {
      const { cache_n: cached, prompt_n: read, predicted_n: written } = event.timings;
      sampler.take(event.timings);
      showContext(cached + read + written);
      status.textContent = `Writing: ${count(written)} tokens`;
    }
  }
  if (!finish) throw new Unreachable('the server ended before the answer did');
  return finish;
}

const TRY_AGAIN =
  'is it still running? Your message is in the box again; send it once the server is back. What there was of an ' +
  'answer does not count.';

function setRunning(controller) {
  running = controller;
  byId('send').hidden = controller !== null;
  byId('stop').hidden = controller === null;
}

function verdict(finish, timings) {
  const rate = timings?.predicted_ms > 0 ? (1000 * timings.predicted_n) / timings.predicted_ms : 0;
  const figures = rate > 0 ? ` ${count(timings.predicted_n)} tokens, ${rate.toFixed(1)} a second.` : '';
  if (finish === 'length') return `Cut off: the longest answer or the context is reached.${figures}`;
  return (finish === 'stopped' ? 'Stopped.' : 'Done.') + figures;
}

async function send(text) {
  history.push({ role: 'user', content: text });
  addMessage('user', 'You').querySelector('.body').textContent = text;
  const controller = new AbortController();
  setRunning(controller);
  status.textContent = 'Waiting for the model';
  const view = new AnswerView();
  const sampler = new Sampler();
  let finish = '';
  let failure = null;
  try {
    finish = await stream(view, sampler, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) finish = 'stopped';
    else failure = error;
  }
  view.finish();
  const isLost = failure instanceof Unreachable || !view.text;
  if (isLost) {
    history.pop(); // a question without an answer would be asked again with the next one
  } else {
    history.push({ role: 'assistant', content: view.text });
  }
  if (isLost && failure && !promptBox.value) promptBox.value = text;
  if (failure) showError(failure instanceof Unreachable ? `${failure.message}: ${TRY_AGAIN}` : failure.message);
  setRunning(null);
  status.textContent = failure ? '' : verdict(finish, sampler.timings);
  if (failure instanceof Unreachable) describeServer();
  promptBox.focus();
  await sampler.stop();
}

// ---- what the user does ----

byId('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = promptBox.value.trim();
  if (!text || running) return;
  promptBox.value = '';
  send(text);
});
promptBox.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId('composer').requestSubmit();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') running?.abort();
});
byId('stop').addEventListener('click', () => running?.abort());
byId('new-chat').addEventListener('click', () => {
  running?.abort();
  history = [];
  messages.replaceChildren();
  status.textContent = '';
  showContext(0);
  promptBox.focus();
});

describeServer();
