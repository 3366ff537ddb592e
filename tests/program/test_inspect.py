"""qwen-infer inspect: its figures on a real model, its page in headless Chromium, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

Run = Callable[..., subprocess.CompletedProcess[str]]

FEW, MORE = "k=4", "k=16,sinks=2"
# Markup, a NUL, a character of several tokens, one that turns the direction of writing, and lines.
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
STRANGE = "\0 \U0001f468\U0001f3fd \u202e"
TEXT = f"""\
The quick brown fox jumps over the lazy dog, and the dog sleeps.
{HOSTILE} {STRANGE}
def add(a, b):
\treturn a + b
"""


@pytest.fixture(scope="module")
def folder(run_in: Callable[[Path], Run], model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run with two settings and two layers has left page.html, figures.json and what it printed."""
    made = tmp_path_factory.mktemp("inspect")
    (made / "prompt.txt").write_text(TEXT, encoding="utf-8", newline="")
    files = ("--html", "page.html", "--json", "figures.json")
    more = ("--setting", FEW, "--setting", MORE, "--layers", "0,12", "--strongest", 8)
    result = run_in(made)("inspect", "-m", model_path, "--prompt-file", "prompt.txt", *files, *more)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "page.html\nfigures.json\n"
    (made / "stdout").write_text(result.stdout, encoding="utf-8")
    assert {path.name for path in made.iterdir()} == {"prompt.txt", "page.html", "figures.json", "stdout"}
    return made


@pytest.fixture(scope="module")
def figures(folder: Path) -> dict[str, Any]:
    read = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    assert isinstance(read, dict)
    return read


@pytest.fixture
def page(folder: Path, browser: webdriver.Chrome) -> webdriver.Chrome:
    """The page, as it is when it is opened."""
    browser.get((folder / "page.html").as_uri())
    assert text(browser, "status") != ""
    return browser


def text(page: webdriver.Chrome, element: str) -> str:
    return page.find_element(By.ID, element).get_property("textContent")


def press(page: webdriver.Chrome, *keys: str) -> None:
    page.switch_to.active_element.send_keys(*keys)


def picked(page: webdriver.Chrome) -> int:
    found = re.match(r"Token (\d+), ", text(page, "status"))
    assert found
    return int(found[1])


def chosen(page: webdriver.Chrome, element: str) -> str:
    return Select(page.find_element(By.ID, element)).first_selected_option.text


def listed(page: webdriver.Chrome) -> list[list[str]]:
    """The table of the strongest weights."""
    rows = page.find_elements(By.CSS_SELECTOR, "#strongest tbody tr")
    return [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]


@pytest.mark.model
def test_figures_tell_what_heads_kept(folder: Path, figures: dict[str, Any]) -> None:
    n = figures["n_token"]
    few, more = figures["settings"]
    assert [few["name"], more["name"]] == [FEW, MORE]
    for setting, budget in ((few, 4), (more, 18)):
        assert [layer["layer"] for layer in setting["layers"]] == [0, 12]
        kept = sum(min(budget, token + 1) for token in range(n)) / (n * (n + 1) / 2)
        assert setting["kept_share"] == pytest.approx(kept)
        for layer in setting["layers"]:
            assert len(layer["heads"]) == 14
            for head in layer["heads"]:
                # A head of layer 0 leaves less than f32's rounding of 1 to the keys beyond 18.
                assert 0 < head["min_mass"] <= head["mean_mass"] <= 1
                assert sum(head["weight_by_distance"]) == pytest.approx(1)
                assert sum(head["kept_by_distance"]) == pytest.approx(1)
    assert few["mean_mass"] < more["mean_mass"] < 1
    assert few["layers"][1]["most_attended"][0]["position"] == 0, "the first token is a sink in every language model"
    assert f"{100 * few['kept_share']:.2f} %" in (folder / "stdout").read_text(encoding="utf-8").splitlines()[1]


@pytest.mark.model
def test_tokens_are_picked_by_keys_and_mouse_and_shaded(page: webdriver.Chrome, figures: dict[str, Any]) -> None:
    n = figures["n_token"]
    assert page.switch_to.active_element.get_attribute("id") == "tokens"
    assert text(page, "status").startswith(f"Token {n - 1}, ")
    press(page, Keys.HOME)
    assert text(page, "status").startswith("Token 0, The.")
    assert "keeps 1 of 1 tokens on average, mass 1.000" in text(page, "row-figures")
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert text(page, "status").startswith("Token 2, \u00b7brown.")
    assert {row[1] for row in listed(page)} <= {"0", "1", "2"}
    # The first token attracts it, so its place has a colour; a later one is out of sight.
    row = page.execute_script(
        "return [...document.getElementById('tokens').getContext('2d').getImageData(0, 20, 301, 1).data]"
    )
    shaded, beyond = (row[4 * x : 4 * x + 4] for x in (18, 300))
    assert shaded[3] == 255
    assert beyond[3] == 0
    press(page, Keys.ARROW_DOWN)
    below = picked(page)
    press(page, Keys.ARROW_UP)
    assert picked(page) < below
    assert below > 2
    press(page, Keys.END)
    assert text(page, "status").startswith(f"Token {n - 1}, ")
    canvas = page.find_element(By.ID, "tokens")
    offset = (20 - canvas.size["width"] / 2, 25 - canvas.size["height"] / 2)
    ActionChains(page).move_to_element_with_offset(canvas, *map(int, offset)).click().perform()
    assert text(page, "status").startswith("Token 0, ")


@pytest.mark.model
def test_layer_head_setting_and_shading_are_chosen_by_keys(page: webdriver.Chrome, figures: dict[str, Any]) -> None:
    n = figures["n_token"]
    press(page, "]", "]")
    assert chosen(page, "layer") == "12"
    assert chosen(page, "head") == "mean of all"
    press(page, ".", ".")
    assert chosen(page, "head") == "1"
    assert f"keeps 4 of {n} tokens, mass " in text(page, "row-figures")
    assert len(listed(page)) == 4, "all that this head kept"
    shares = [float(row[2].split("\u202f")[0]) for row in listed(page)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=2)  # they are rounded
    press(page, "s")
    assert f"{MORE}: keeps 18 of {n} tokens" in text(page, "row-figures")
    press(page, "s")
    assert chosen(page, "setting") == f"difference: {MORE} \u2212 {FEW}"
    headings = [cell.text for cell in page.find_elements(By.CSS_SELECTOR, "#strongest th")]
    assert headings == ["Token", "Distance", FEW, MORE]
    press(page, "s", "m", "m")
    assert chosen(page, "mode") == "what all tokens attend to"
    first = figures["settings"][0]["layers"][1]["most_attended"][0]
    assert text(page, "most-attended").startswith(first["text"])
    assert f"at {first['position']}: {100 * first['share']:.1f}" in text(page, "most-attended")


@pytest.mark.model
def test_the_map_chooses_layer_and_head(page: webdriver.Chrome, figures: dict[str, Any]) -> None:
    canvas = page.find_element(By.ID, "map")
    page.execute_script("arguments[0].focus()", canvas)
    press(page, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert (chosen(page, "layer"), chosen(page, "head")) == ("12", "1")
    mass = figures["settings"][0]["layers"][1]["heads"][1]["mean_mass"]
    assert f"Layer 12, head 1: {mass:.4f}." in text(page, "map-status")
    Select(page.find_element(By.ID, "map-figure")).select_by_visible_text("share of the keys kept")
    assert "everywhere" in text(page, "map-status"), "the budget is the same"
    assert "0: " in page.find_element(By.ID, "distances").get_attribute("aria-label")


@pytest.mark.model
def test_hostile_text_stays_text_and_nothing_is_asked_for(page: webdriver.Chrome, folder: Path) -> None:
    shown = page.execute_script("return [window.hacked ?? null, document.images.length, document.scripts.length]")
    # Decoded blocks have left the page: the script, the figures, and the layers that nobody looked at.
    assert shown == [None, 0, 2 + 2 * 2 + 1]
    press(page, "m", "m")  # a list of all tokens that count
    press(page, Keys.HOME)
    press(page, Keys.ARROW_RIGHT * 60)
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry["message"] for entry in page.get_log("browser")] == []
    html = (folder / "page.html").read_bytes()
    assert b"hacked" not in html
    assert b"\0" not in html


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "--model is missing"),
        (("-m", "a.gguf"), "--prompt_file is missing"),
        (("-m", "a.gguf", "-f", "a.txt"), "--html is missing"),
        (("-m", "a.gguf", "-f", "missing.txt", "--html", "a.html"), "cannot read missing.txt"),
        (("-m", "a.gguf", "-f", __file__, "--html", "no/a.html"), "cannot write no/a.html"),
        (("-m", "a.gguf", "-f", __file__, "--html", "a.html", "--layers", "a"), "is not a list of layers like 0,4-9"),
        (("-m", "a.gguf", "-f", __file__, "--html", "a.html", "--setting", "k=0"), "--setting k=0"),
    ],
)
def test_a_mistake_is_named_and_leaves_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    result = run("inspect", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        (b"", (), "has no text"),
        (b"caf\xe9", (), "is no text in UTF-8, byte 3 begins no character"),
        (b"some text", ("--layers", "24"), "there is no layer 24, the model has 24, from 0 on"),
    ],
)
def test_a_prompt_that_cannot_be_shown_is_refused(
    run: Run, model_path: Path, tmp_path: Path, content: bytes, more: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "prompt.txt").write_bytes(content)
    result = run("inspect", "-m", model_path, "-f", "prompt.txt", "--html", "a.html", *more)
    assert result.returncode == 2
    assert expected in result.stderr
    assert not (tmp_path / "a.html").exists()


def test_what_is_read_is_not_written_over(run: Run, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("some text", encoding="utf-8")
    result = run("inspect", "-m", "no-such-model.gguf", "-f", "prompt.txt", "--html", "./prompt.txt")
    assert result.returncode == 2
    assert "./prompt.txt is what is read: name another file to write" in result.stderr
    assert (tmp_path / "prompt.txt").read_text(encoding="utf-8") == "some text"


def test_help_teaches(run: Run) -> None:
    result = run("inspect", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("qwen-infer inspect: ")
    for part in ("--prompt_file PATH", "--html FILE", "limits: ", "130 interrupted"):
        assert part in result.stdout
