"""Take the README's pictures: a task of each of the demo's projects with its predictions, in Label Studio's own editor.

    make screenshot        (or .venv/bin/python scripts/screenshot.py [FOLDER])

Starts a demo with data of its own, drives Debian's chromium, writes docs/images/{texts,images,sounds}.png.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from prelabel.demo.label_studio import LabelStudioServer
from prelabel.demo.orchestration import Demo, Options
from prelabel.demo.setting_up import Ready

ROOT = Path(__file__).resolve().parent.parent
SHOWN = {"texts": (7, 440), "images": (1, 760), "sounds": (3, 460)}
"""Which task of each project, counted from 1, and the height of the window in pixels."""
WIDTH = 1280


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = tempfile.TemporaryDirectory(prefix="prelabel-screenshot-")
    demo = Demo(Options(root=ROOT, data_dir=Path(data.name)), Console())
    try:
        server, projects = demo.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_context(device_scale_factor=1.5).new_page()
            sign_in(page, server)
            for project in projects:
                take(page, server, project, folder / f"{project.definition.key}.png")
            browser.close()
    finally:
        demo.stop()
        data.cleanup()


def sign_in(page: Page, server: LabelStudioServer) -> None:
    page.goto(f"{server.url}/user/login/")
    page.fill("input[name=email]", server.email)
    page.fill("input[name=password]", server.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url)


def take(page: Page, server: LabelStudioServer, project: Ready, file: Path) -> None:
    """One task with the model's prediction chosen, so that its version and score stand in the tab."""
    listed = server.api.get("/api/tasks", params={"project": project.id, "page_size": 100, "include": "id"}).json()
    number, height = SHOWN[project.definition.key]
    task = sorted(one["id"] for one in listed["tasks"])[number - 1]
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto(f"{server.url}/projects/{project.id}/data?task={task}")
    version = server.api.get("/api/ml", params={"project": project.id}).json()[0]["model_version"]
    page.get_by_text(version[-6:]).first.click()
    page.mouse.move(WIDTH / 2, height - 60)  # off the tab, whose tooltip would cover the task
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(3000)  # waveforms and images are drawn after they were loaded
    page.screenshot(path=file)
    print(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
