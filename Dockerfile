# prelabel with the wrappers that need no GPU. One image for the server and the workers:
#   docker build -t prelabel .
#   docker run -v $PWD/models:/models:ro -p 9090:9090 prelabel serve /models/my_model.py:predict --host 0.0.0.0
FROM python:3.12-slim

ARG EXTRAS=postgres,runs,sklearn,onnx,spacy
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PRELABEL_DATA_DIR=/data

WORKDIR /src
COPY setup.py pyproject.toml README.md LICENSE ./
COPY backend backend
COPY model_wrappers model_wrappers
RUN pip install ".[${EXTRAS}]"

# What your model imports beyond that: put a requirements.txt beside it and build an image FROM this one.
RUN useradd --create-home --uid 1000 prelabel && mkdir /data /models && chown prelabel /data
USER prelabel
WORKDIR /models
VOLUME /data
EXPOSE 9090

ENTRYPOINT ["prelabel"]
CMD ["--help"]
