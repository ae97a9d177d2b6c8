"""Chromium for tests: Debian's, without a window, on a display of a fixed size."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CHROMIUM = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--window-size=1280,1000",
)


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """A browser with an empty profile, which keeps what its console said."""
    options = Options()
    options.binary_location = CHROMIUM
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        # An audit of a page takes a second, and on a busy machine more than the thirty that Selenium allows.
        driver.set_page_load_timeout(120)
        driver.set_script_timeout(120)
        yield driver
    finally:
        driver.quit()


def scheme(driver: webdriver.Chrome, name: str) -> None:
    """`light` or `dark`, as the system would prefer."""
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]}
    )


def picture(driver: webdriver.Chrome, path: str, width: int = 1280, most: int = 1500) -> None:
    """The page from its top, as high as it is, but no higher than `most`."""
    height = min(int(driver.execute_script("return document.documentElement.scrollHeight")), most)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.save_screenshot(path)
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def complaints(driver: webdriver.Chrome) -> list[str]:
    """What the console has complained of since it was last asked."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def hosts(driver: webdriver.Chrome) -> set[str]:
    """Addresses that were asked for since last time."""
    found: set[str] = set()
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.add(message["params"]["request"]["url"])
    return found
