"""The console in real Chromium, in front of a real gateway with a seeded ledger."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx
import pytest
from axe_core_python.selenium import Axe
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from gateway.console import wording
from tests.support.browser import browser, complaints, hosts, scheme
from tests.support.console import NASTY, seeded
from tests.support.served import MOCK, Gateway, Process

PAGES = ("cost", "cost/exchanges", "cost/exchanges/named-0", "incidents", "guardrails", "configuration",
         "configuration/versions/1", "configuration/diff?old=1&new=1")  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    mock = Process(MOCK, "--port", "0")
    try:
        served = seeded(mock.url, tmp_path_factory.mktemp("console"))
        yield served
        assert served.stop() == 0
    finally:
        mock.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


@pytest.fixture
def driver(shared: Chrome) -> Iterator[Chrome]:
    """A browser that nobody is logged in with; afterwards its console has complained of nothing."""
    shared.delete_all_cookies()
    complaints(shared)
    hosts(shared)
    yield shared
    shared.delete_all_cookies()


def wait(driver: Chrome, condition: Callable[[Chrome], object], what: str) -> None:
    """What a page that is just being replaced says counts as not yet."""
    passing = (NoSuchElementException, StaleElementReferenceException)

    def met(seen: Chrome) -> object:
        try:
            return condition(seen)
        except WebDriverException as error:
            # Chromium's own words for a node that is stale, when the page goes between finding and reading it.
            if "does not belong to the document" in str(error):
                return False
            raise

    WebDriverWait(driver, 60, 0.05, ignored_exceptions=passing).until(met, what)


def log_in(driver: Chrome, gateway: Gateway, key: str = "sk-admin") -> None:
    driver.get(gateway.url + "/console/")
    driver.find_element(By.ID, "key").send_keys(key, Keys.ENTER)
    wait(driver, lambda d: d.find_elements(By.CSS_SELECTOR, "nav.main, .message.bad"), "an answer to the log-in")


def text_of(driver: Chrome, css: str) -> str:
    return driver.find_element(By.CSS_SELECTOR, css).text


def test_a_wrong_key_is_told_so_and_a_right_one_leads_to_cost(driver: Chrome, gateway: Gateway):
    log_in(driver, gateway, "wrong")
    assert "no admin key" in text_of(driver, ".message.bad")
    driver.find_element(By.ID, "key").send_keys("sk-admin", Keys.ENTER)
    wait(driver, lambda d: d.current_url.endswith("/console/cost"), "the cost page")
    cookie = driver.get_cookie("tollway_console")
    assert cookie is not None
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
    assert driver.execute_script("return document.cookie") == ""
    driver.find_element(By.XPATH, "//button[text()='Log out']").click()
    wait(driver, lambda d: d.find_elements(By.ID, "key"), "the log-in page")
    driver.get(gateway.url + "/console/cost")
    assert driver.current_url.endswith("/console/login")


@pytest.mark.parametrize("preference", ["light", "dark"])
def test_every_page_is_accessible_and_quiet_and_stays_at_home(driver: Chrome, gateway: Gateway, preference: str):
    """axe-core finds nothing (WCAG 2.1 A and AA, best practices; in dark: contrast); the console says nothing; no other
    host is asked; what somebody called a team is no script."""
    scheme(driver, preference)
    log_in(driver, gateway)
    for page in PAGES:
        driver.get(f"{gateway.url}/console/{page}")
        wait(driver, lambda d: d.find_element(By.ID, "state").get_attribute("data-level") != "unknown", "the state")
        # Only colours differ between the two.
        found = Axe().run(driver, options=None if preference == "light" else {"runOnly": ["color-contrast"]})
        told = [f"{each['id']}: {node['html']}" for each in found["violations"] for node in each["nodes"]]
        assert told == [], page
    assert complaints(driver) == []
    asked = hosts(driver)
    assert asked
    assert all(each.startswith((gateway.url, "data:")) for each in asked), asked
    driver.get(gateway.url + "/console/cost")
    assert NASTY in text_of(driver, "main")
    assert driver.find_elements(By.CSS_SELECTOR, "main script") == []


def test_a_telephone_shows_every_page(driver: Chrome, gateway: Gateway):
    """Nothing is wider than 390 pixels but what scrolls by itself, from the keyboard too."""
    log_in(driver, gateway)
    telephone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", telephone)
    try:
        for page in PAGES:
            driver.get(f"{gateway.url}/console/{page}")
            assert driver.execute_script("return document.documentElement.scrollWidth") == 390, page
            if page == "cost":
                left = "const it = document.querySelector('[data-latest]'); return it.scrollWidth - it.clientWidth - "
                assert driver.execute_script(left + "it.scrollLeft") < 2, "today is what is seen first"
            found = Axe().run(driver, options={"runOnly": ["scrollable-region-focusable"]})
            assert found["violations"] == [], page
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_the_command_and_the_api_agree(driver: Chrome, gateway: Gateway):
    """ "Totals on the page equal `tollway spend`" to the cent."""
    log_in(driver, gateway, "sk-finops")
    since = f"{httpx.get(gateway.url + '/healthz').headers['date'][8:16]}"
    month = wording.datetime.strptime(since, "%b %Y").strftime("%Y-%m-01")
    told = Decimal(gateway.spend("--since", month)["total"]["cost_usd"])
    assert told > 100
    assert text_of(driver, "#spend") == wording.dollars(int(told.scaleb(9)))


def test_the_theme_is_switched_and_kept(driver: Chrome, gateway: Gateway):
    scheme(driver, "light")
    log_in(driver, gateway)
    background = "return getComputedStyle(document.body).backgroundColor"
    light = driver.execute_script(background)
    driver.find_element(By.ID, "theme").click()
    dark = driver.execute_script(background)
    assert dark != light
    driver.get(gateway.url + "/console/configuration")
    assert driver.execute_script(background) == dark
    driver.find_element(By.ID, "theme").click()
    assert driver.execute_script(background) == light
    scheme(driver, "dark")
    driver.execute_script("localStorage.clear()")
    driver.refresh()
    assert driver.execute_script(background) == dark


def test_the_keyboard_is_enough(driver: Chrome, gateway: Gateway):
    """Skip link first, then brand and navigation; what has the focus shows it; Enter follows."""
    log_in(driver, gateway)
    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert driver.switch_to.active_element.text == "Skip to content"
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert driver.switch_to.active_element.get_attribute("id") == "main"
    driver.get(gateway.url + "/console/cost")
    for _ in range(4):
        driver.switch_to.active_element.send_keys(Keys.TAB)
    focused = driver.switch_to.active_element
    assert focused.text == "Incidents"
    assert focused.value_of_css_property("outline-style") == "solid"
    focused.send_keys(Keys.ENTER)
    wait(driver, lambda d: d.current_url.endswith("/console/incidents"), "the incidents page")


def test_a_kill_switch_is_set_and_seen_live_and_taken_back(driver: Chrome, gateway: Gateway):
    """One page watches while another sets the switch; the road refuses meanwhile, and serves again after."""

    def ask() -> int:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": "Bearer sk-growth"}
        return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers, timeout=60).status_code

    log_in(driver, gateway, "sk-oncall")
    watching = driver.current_window_handle
    wait(driver, lambda d: "kill switch" not in text_of(d, "#state") and "Connecting" not in text_of(d, "#state"), "it")
    driver.switch_to.new_window("tab")
    driver.get(gateway.url + "/console/incidents")
    driver.find_element(By.XPATH, "//summary[text()='Set a switch']").click()
    Select(driver.find_element(By.ID, "target")).select_by_visible_text("Stop a team")
    driver.find_element(By.ID, "name").send_keys("growth")
    driver.find_element(By.ID, "reason").send_keys("a loop burns money", Keys.ENTER)
    driver.switch_to.alert.accept()
    wait(driver, lambda d: "The switch is on" in text_of(d, "main"), "the switch")
    wait(driver, lambda _: ask() == 503, "the road to refuse")
    setting = driver.current_window_handle
    driver.switch_to.window(watching)
    wait(driver, lambda d: "1 kill switch is on" in text_of(d, "#state .line"), "the live state")
    assert driver.find_element(By.ID, "state").get_attribute("data-level") in ("warning", "trouble")
    driver.switch_to.window(setting)
    driver.find_element(By.XPATH, "//button[text()='Clear']").click()
    wait(driver, lambda d: "The switch is off" in text_of(d, "main"), "the switch to be cleared")
    wait(driver, lambda _: ask() == 200, "the road to serve")
    driver.close()
    driver.switch_to.window(watching)
    wait(driver, lambda d: "kill switch" not in text_of(d, "#state .line"), "the live state")
    assert complaints(driver) == []


def test_a_reload_and_a_candidate(driver: Chrome, gateway: Gateway):
    log_in(driver, gateway)
    driver.get(gateway.url + "/console/configuration")
    driver.find_element(By.ID, "reload").click()
    wait(driver, lambda d: "nothing has changed" in text_of(d, "main"), "the reload")
    driver.find_element(By.ID, "text").send_keys("version: 1\nprovders: {}\n")
    driver.find_element(By.XPATH, "//button[text()='Validate']").click()
    wait(driver, lambda d: d.find_elements(By.ID, "problems"), "the verdict")
    assert "gateway.yaml:2:1: " in text_of(driver, "#problems")
    assert complaints(driver) == []


def test_roll_back_from_the_page(driver: Chrome, gateway: Gateway):
    """An edit that the file watch takes up, seen in the history, and back again: file, gateway, history, audit log."""
    before = gateway.config.read_text()
    gateway.config.write_text(before.replace("900 USD", "90 USD"))
    log_in(driver, gateway)

    def newest(d: Chrome) -> str:
        d.get(gateway.url + "/console/configuration")
        return text_of(d, "table.versions tbody tr")

    wait(driver, lambda d: "900 USD → 90 USD" in newest(d), "the change in the history")
    first = driver.find_elements(By.CSS_SELECTOR, "table.versions tbody a")[-1]
    assert first.text == "1"
    first.click()
    wait(driver, lambda d: d.find_elements(By.ID, "roll"), "the version's page")
    driver.find_element(By.ID, "reason").send_keys("search is refused", Keys.ENTER)
    driver.switch_to.alert.accept()
    wait(driver, lambda d: "are back, and in force" in text_of(d, "main"), "the roll back")
    assert gateway.config.read_text() == before
    row = text_of(driver, "table.versions tbody tr")
    for word in ("in force", "key:admin-key", "rollback to version 1", "search is refused", "90 USD → 900 USD"):
        assert word in row
    assert "config.rollback" in text_of(driver, "main")
    found = driver.find_elements(By.CSS_SELECTOR, "table.versions tbody tr")
    assert len(found) == 3, "one entry each, however many noticed it"
    driver.find_element(By.XPATH, "//button[text()='Compare']").click()
    wait(driver, lambda d: d.find_elements(By.CSS_SELECTOR, "pre.diff .plus"), "the difference")
    assert text_of(driver, "pre.diff .plus").strip().endswith("amount: 900 USD")
    assert complaints(driver) == []


def test_a_text_is_tried(driver: Chrome, gateway: Gateway):
    log_in(driver, gateway, "sk-viewer")
    driver.get(gateway.url + "/console/guardrails")
    driver.find_element(By.ID, "text").send_keys("write to jane.doe@example.org today")
    driver.find_element(By.XPATH, "//button[text()='Try']").click()
    wait(driver, lambda d: d.find_elements(By.ID, "verdict"), "the verdict")
    assert "with changes" in text_of(driver, "#verdict")
    assert text_of(driver, "mark") == "jane.doe@example.org"
    assert "jane.doe" not in text_of(driver, "#passes")
    assert complaints(driver) == []


def test_a_finding_is_judged_and_its_line_is_shown(driver: Chrome, gateway: Gateway):
    """The list comes back as it was narrowed; the audit log knows who it was; the line allows the value."""
    log_in(driver, gateway)
    driver.get(gateway.url + "/console/guardrails?since=30d&type=CREDIT_CARD")
    button = driver.find_element(By.CSS_SELECTOR, "ul.values button[value=false_positive]")
    digest = (button.get_attribute("aria-label") or "").split()[-1]
    button.click()
    wait(driver, lambda d: "Your judgement is kept" in text_of(d, "main"), "the judgement")
    assert "since=30d&state=open&team=" not in driver.current_url
    assert "type=CREDIT_CARD" in driver.current_url
    assert digest not in text_of(driver, "ul.values")
    assert digest in text_of(driver, "pre.allow")
    driver.get(gateway.url + "/console/configuration")
    assert f"standard.pii.1 {digest}" in text_of(driver, "main")
    assert complaints(driver) == []


def test_a_gateway_that_leaves_does_not_wait_for_open_pages(driver: Chrome, gateway: Gateway):
    """The live streams of open pages end; `gateway`'s own end asserts that leaving went well. Runs last."""
    log_in(driver, gateway)
    wait(driver, lambda d: "Connecting" not in text_of(d, "#state"), "the live state")
    assert gateway.stop(limit=15) == 0
    wait(driver, lambda d: "Not connected" in text_of(d, "#state .line"), "the page to notice")
    complaints(driver)
