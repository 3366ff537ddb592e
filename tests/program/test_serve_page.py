"""The web page of qwen-infer serve, in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from serving import API_KEY, KEY, Server, end, serve

pytestmark = pytest.mark.model

WAIT_SECONDS = 240  # far more than it takes: a loaded machine generates a few tokens a second
LONG_TASK = "Count from 1 to 500, one number a line."


@pytest.fixture
def page(guarded: Server, browser: webdriver.Chrome) -> webdriver.Chrome:
    """The page, ready, with the key entered as a user does."""
    browser.get(f"http://127.0.0.1:{guarded.port}/")
    wait_until(browser, lambda: "API key" in text(browser, "status") or text(browser, "model") != "")
    browser.find_element(By.ID, "open-settings").click()
    for name, value in (("api-key", API_KEY), ("temperature", "0"), ("max-tokens", "400")):
        field = browser.find_element(By.ID, name)
        field.clear()
        field.send_keys(value)
    browser.find_element(By.ID, "max-tokens").send_keys(Keys.ENTER)
    wait_until(browser, lambda: text(browser, "model") != "")
    return browser


def text(browser: webdriver.Chrome, element: str) -> str:
    return browser.find_element(By.ID, element).text


def wait_until(browser: webdriver.Chrome, condition: Callable[[], bool]) -> None:
    WebDriverWait(browser, WAIT_SECONDS, poll_frequency=0.1).until(lambda _: condition())


def answers(browser: webdriver.Chrome) -> list[str]:
    return [body.text for body in browser.find_elements(By.CSS_SELECTOR, ".message.assistant .body")]


def test_chats_by_keyboard_and_draws_what_it_measures(page: webdriver.Chrome) -> None:
    assert page.switch_to.active_element.get_attribute("id") == "prompt"
    page.switch_to.active_element.send_keys("Count from 1 to 9, one number a line.", Keys.ENTER)
    wait_until(page, lambda: text(page, "status").startswith("Done."))
    assert "9" in answers(page)[-1]
    assert int(page.find_element(By.ID, "context").get_attribute("aria-valuenow")) > 10
    for figure in ("speed", "kept", "mass"):
        line = page.find_element(By.CSS_SELECTOR, f"#{figure} polyline")
        wait_until(page, lambda line=line: bool(line.get_attribute("points")))
    assert page.switch_to.active_element.get_attribute("id") == "prompt"


@pytest.mark.parametrize("way", ["button", "escape"])
def test_an_answer_can_be_stopped(page: webdriver.Chrome, guarded: Server, way: str) -> None:
    page.find_element(By.ID, "prompt").send_keys(LONG_TASK, Keys.ENTER)
    wait_until(page, lambda: bool(answers(page)) and len(answers(page)[-1]) > 10)
    if way == "button":
        page.find_element(By.ID, "stop").click()
    else:
        page.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)
    wait_until(page, lambda: text(page, "status").startswith("Stopped."))
    wait_until(page, lambda: not any(s["is_processing"] for s in guarded.request("GET", "/slots", headers=KEY)[2]))


def test_markup_in_an_answer_stays_text(page: webdriver.Chrome) -> None:
    page.find_element(By.ID, "prompt").send_keys("<img src=x onerror=alert(1)> say hi", Keys.ENTER)
    wait_until(page, lambda: not page.find_element(By.ID, "stop").is_displayed())
    assert "<img" in page.find_element(By.CSS_SELECTOR, ".message.user .body").text
    assert page.find_elements(By.CSS_SELECTOR, "#messages img") == []


def test_a_message_beyond_the_context_says_so(page: webdriver.Chrome) -> None:
    page.execute_script("document.getElementById('prompt').value = 'word '.repeat(3000)")
    page.find_element(By.ID, "send").click()
    wait_until(page, lambda: bool(page.find_elements(By.CSS_SELECTOR, ".message.error")))
    assert "context" in page.find_element(By.CSS_SELECTOR, ".message.error .body").text


def test_asks_no_other_machine_and_breaks_no_rule(page: webdriver.Chrome, guarded: Server) -> None:
    own = f"http://127.0.0.1:{guarded.port}/"
    addresses = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert addresses
    assert all(address.startswith((own, "data:")) for address in addresses)
    messages = [entry["message"] for entry in page.get_log("browser")]
    assert not [message for message in messages if "Content Security Policy" in message or "Uncaught" in message]


def test_a_server_that_ends_is_named_and_a_restart_is_found(
    qwen_infer: Path, model_path: Path, browser: webdriver.Chrome
) -> None:
    first = serve(qwen_infer, model_path)
    try:
        browser.get(f"http://127.0.0.1:{first.port}/")
        wait_until(browser, lambda: text(browser, "model") != "")
        browser.find_element(By.ID, "prompt").send_keys(LONG_TASK, Keys.ENTER)
        wait_until(browser, lambda: bool(answers(browser)) and len(answers(browser)[-1]) > 10)
    finally:
        end(first)
    wait_until(browser, lambda: "does not answer" in text(browser, "status"))
    error = browser.find_element(By.CSS_SELECTOR, ".message.error .body").text
    assert "send it once the server is back" in error
    box = browser.find_element(By.ID, "prompt")
    assert box.get_property("value") == LONG_TASK
    second = serve(qwen_infer, model_path, port=first.port)
    try:
        wait_until(browser, lambda: text(browser, "status") == "")
        box.send_keys(Keys.ENTER)
        wait_until(browser, lambda: len(answers(browser)) == 2 and len(answers(browser)[-1]) > 10)
        browser.find_element(By.ID, "stop").click()
        wait_until(browser, lambda: text(browser, "status").startswith("Stopped."))
    finally:
        end(second)
        browser.get("about:blank")
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # what a page without its server says is no fault of the other tests'
