// Shows what a model writes: code blocks, `code` and **bold**, everything else as it is. Only ever as text, so that
// nothing in an answer can become a part of the page.
function appendInline(parent, text) {
  const parts = text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/);
  for (const part of parts) {
    if (part.length > 2 && part.startsWith('`') && part.endsWith('`')) {
      const code = document.createElement('code');
      code.textContent = part.slice(1, -1);
      parent.append(code);
    } else if (part.length > 4 && part.startsWith('**') && part.endsWith('**')) {
      const bold = document.createElement('strong');
      bold.textContent = part.slice(2, -2);
      parent.append(bold);
    } else {
      parent.append(part);
    }
  }
}

function codeBlock(text) {
  const block = document.createElement('div');
  block.className = 'code';
  const copy = document.createElement('button');
  copy.type = 'button';
  copy.textContent = 'Copy';
  copy.setAttribute('aria-label', 'Copy this code');
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = 'Copied';
  });
  const pre = document.createElement('pre');
  const code = document.createElement('code');
  code.textContent = text;
  pre.append(copy, code);
  block.append(pre);
  return block;
}

// Fences alternate between text and code; one that is still open runs to the end.
function showAnswer(element, text) {
  element.replaceChildren();
  const parts = text.split(/^```.*\n?/m);
  parts.forEach((part, i) => {
    if (i % 2 === 1) {
      element.append(codeBlock(part.replace(/\n$/, '')));
    } else if (part.trim() !== '') {
      // Blocks have margins of their own.
      const start = i > 0 ? part.replace(/^\n+/, '') : part;
      appendInline(element, i < parts.length - 1 ? start.trimEnd() : start);
    }
  });
}
