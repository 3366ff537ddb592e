#!/usr/bin/env python3
"""Writes prose to evaluate on: The Debian Administrator's Handbook (debian-handbook) as plain text, in reading order.

The book is fetched by apt-get, or read from a folder that has its English pages. A paragraph, a title or a listing is
followed by a blank line. The same version of the package gives the same text (11.20220922: 1.2 MB).

usage: handbook.py OUT.txt [--pages FOLDER]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

PACKAGE = "debian-handbook"
PAGES = "usr/share/doc/debian-handbook/html/en-US"
FIRST_PAGE = "index.html"
TITLES = {"h1", "h2", "h3", "h4"}


class Page(HTMLParser):
    """One page: its titles, paragraphs and listings, and the name of the next page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.blocks: list[str] = []
        self.next: str | None = None
        self._open: str | None = None  # the tag of the block that is being read
        self._depth = 0  # of tags of that name inside it
        self._text: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "link" and attributes.get("rel") == "next":
            self.next = attributes.get("href")
        if self._open == tag:
            self._depth += 1
        elif self._open is None and (tag in TITLES | {"pre"} or (tag == "div" and attributes.get("class") == "para")):
            self._open, self._depth, self._text = tag, 1, []

    def handle_endtag(self, tag: str) -> None:
        if tag != self._open:
            return
        self._depth -= 1
        if self._depth == 0:
            text = "".join(self._text)
            block = text.strip("\n") if tag == "pre" else " ".join(text.split())
            if block.strip():
                self.blocks.append(block)
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._text.append(data)


def book_text(pages: Path) -> str:
    """All pages from the first one on, each followed by the one that it names as the next."""
    blocks: list[str] = []
    name: str | None = FIRST_PAGE
    read: set[str] = set()
    while name is not None and name not in read:
        read.add(name)
        page = Page((pages / name).read_text(encoding="utf-8"))
        blocks += page.blocks if name != FIRST_PAGE else []  # the first one is the table of contents
        name = page.next
    return "\n\n".join(blocks) + "\n"


def fetch_pages(folder: Path) -> Path:
    """Fetches the package into the folder, without installing it."""
    subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=folder, check=True, stderr=subprocess.PIPE, text=True)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True, stderr=subprocess.PIPE, text=True)
    return folder / PAGES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT.txt")
    parser.add_argument("--pages", type=Path, metavar="FOLDER", help="the book's folder en-US, if it is there")
    arguments = parser.parse_args()
    temporary = arguments.out.with_name(arguments.out.name + ".tmp")
    try:
        with tempfile.TemporaryDirectory() as folder:
            text = book_text(arguments.pages or fetch_pages(Path(folder)))
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, arguments.out)
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(map(str, error.cmd))} failed: {error.stderr.strip()}")
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.out}: {len(text.encode())} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
